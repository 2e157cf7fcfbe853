// proc(5), namespaces(7), random(4) for boot_id, machine-id(5).
#include "lib/jobs/process_identity.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace sora {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Field 22 of /proc/PID/stat; the second field is a name in parentheses that may hold anything. -1:
// no such process, or one that is dead and not yet waited for.
int64_t start_time_of(int64_t pid) {
  const std::string stat = first_line(fmt::format("/proc/{}/stat", pid));
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return -1;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  fields >> field;
  if (field == "Z" || field == "X") return -1;
  constexpr int kFieldsBetween = 18;  // from the state, field 3, to field 21
  for (int skipped = 0; skipped < kFieldsBetween; ++skipped) fields >> field;
  int64_t start_time = -1;
  fields >> start_time;
  return start_time;
}

std::string host_name() {
  std::array<char, 256> name = {};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

// The machine's own number comes last, as not every machine has one.
std::string host_identity() {
  std::error_code error;
  const std::string space = std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
  return fmt::format("{} {} {} {}", host_name(), first_line("/proc/sys/kernel/random/boot_id"),
                     space, first_line("/etc/machine-id"));
}

}  // namespace

ProcessIdentity ProcessIdentity::own() {
  const int64_t pid = getpid();
  return {host_identity(), pid, start_time_of(pid)};
}

Liveness liveness(const ProcessIdentity& process) {
  static const std::string own_host = host_identity();
  if (process.host == own_host) {
    return start_time_of(process.pid) == process.start_time ? Liveness::Alive : Liveness::Dead;
  }
  // The same machine after another boot: nothing of before is alive. Its name alone would not do:
  // machines that are set up alike often share one.
  const auto words = [](const std::string& text) {
    std::istringstream stream(text);
    return std::vector<std::string>(std::istream_iterator<std::string>(stream), {});
  };
  const auto own = words(own_host);
  const auto other = words(process.host);
  if (own.size() == 4 && other.size() == 4 && own[0] == other[0] && own[1] != other[1] &&
      own[2] == other[2] && own[3] == other[3])
    return Liveness::Dead;
  return Liveness::Unknown;
}

}  // namespace sora
