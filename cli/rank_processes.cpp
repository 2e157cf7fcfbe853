#include "cli/rank_processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cli/signals.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

constexpr const char* kOwnProgram = "/proc/self/exe";
constexpr auto kRanksPoll = std::chrono::milliseconds(20);
// Between CPUs the others notice by themselves that a rank is gone, and remove what they have
// written so far. One that waits for a GPU, which waits for that rank, is told after this time; one
// that does not end by that is killed after as much again.
constexpr auto kPatience = std::chrono::seconds(10);

std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::vector<std::string> arguments;
  for (size_t start = 0; start < text.size();) {
    const size_t end = text.find('\0', start);
    arguments.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return arguments;
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool found = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  if (fd >= 0) ::close(fd);
  if (!found)
    fail(ErrorKind::Io, "no port is free on the loopback address: {}", std::strerror(errno));
  return ntohs(address.sin_port);
}

pid_t start_rank(int rank, std::vector<std::string>& arguments) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0)
    fail(ErrorKind::Memory, "no further process can be started: {}", std::strerror(errno));
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  ::setenv("RANK", std::to_string(rank).c_str(), 1);
  ::setenv("LOCAL_RANK", std::to_string(rank).c_str(), 1);
  if (rank > 0) {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, STDOUT_FILENO);
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(kOwnProgram, argv.data());
  ::_exit(1);
}

struct End {
  int rank;
  int status;
};

// The ranks that have ended, taken out of `pids`.
std::vector<End> collect(std::vector<pid_t>& pids) {
  std::vector<End> ends;
  for (size_t rank = 0; rank < pids.size(); ++rank) {
    int status = 0;
    if (pids[rank] <= 0 || ::waitpid(pids[rank], &status, WNOHANG) == 0) continue;
    pids[rank] = 0;
    ends.push_back({static_cast<int>(rank), status});
  }
  return ends;
}

bool any_left(const std::vector<pid_t>& pids) {
  return std::any_of(pids.begin(), pids.end(), [](pid_t pid) { return pid > 0; });
}

void signal_all(const std::vector<pid_t>& pids, int number) {
  for (const pid_t pid : pids) {
    if (pid > 0) ::kill(pid, number);
  }
}

// Returns once it has passed; the process that runs it reports what it throws as any run does.
void check_apart(const std::function<void()>& check) {
  const pid_t pid = ::fork();
  if (pid < 0)
    fail(ErrorKind::Memory, "no further process can be started: {}", std::strerror(errno));
  if (pid == 0) {
    check();
    std::_Exit(0);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (stop_signalled()) fail(ErrorKind::Cancelled, "interrupted");
  if (WIFSIGNALED(status))
    fail(ErrorKind::Internal, "planning was ended by signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) std::exit(WEXITSTATUS(status));
}

void set_environment(int count) {
  const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / count);
  ::setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), /*overwrite=*/0);
  ::setenv("WORLD_SIZE", std::to_string(count).c_str(), 1);
  ::setenv("LOCAL_WORLD_SIZE", std::to_string(count).c_str(), 1);
  ::setenv("MASTER_ADDR", "127.0.0.1", 1);
  ::setenv("MASTER_PORT", std::to_string(free_port()).c_str(), 1);
}

// Waits for all to end, for kPatience once one has failed. Those that failed by themselves, in the
// order in which they ended.
std::vector<End> wait_for_all(std::vector<pid_t>& pids) {
  std::vector<End> failures;
  std::chrono::steady_clock::time_point first_failure;
  bool is_stopping = false, is_ending = false;
  while (any_left(pids)) {
    for (const End& end : collect(pids)) {
      if (end.status == 0 || is_ending) continue;
      if (failures.empty()) first_failure = std::chrono::steady_clock::now();
      failures.push_back(end);
    }
    const auto waited = failures.empty() ? std::chrono::steady_clock::duration::zero()
                                         : std::chrono::steady_clock::now() - first_failure;
    if (waited > kPatience) {
      // The second one has a rank remove its unfinished file and end at once.
      signal_all(pids, waited > 2 * kPatience ? SIGKILL : SIGTERM);
      is_ending = true;
    }
    if (stop_signalled() && !is_stopping) {
      signal_all(pids, SIGTERM);
      is_stopping = true;
    }
    std::this_thread::sleep_for(kRanksPoll);
  }
  return failures;
}

}  // namespace

bool is_rank() { return std::getenv("RANK") != nullptr && std::getenv("WORLD_SIZE") != nullptr; }

bool is_first_rank() { return is_rank() && std::string_view(std::getenv("RANK")) == "0"; }

void run_as_ranks(int count, const std::function<void()>& check) {
  std::vector<std::string> arguments = own_arguments();
  set_environment(count);
  check_apart(check);
  std::vector<pid_t> pids;
  for (int rank = 0; rank < count; ++rank) pids.push_back(start_rank(rank, arguments));
  const std::vector<End> failures = wait_for_all(pids);
  if (stop_signalled()) fail(ErrorKind::Cancelled, "interrupted");
  if (failures.empty()) return;
  // Whoever only lost the others says so with Io; the first of another kind is the reason.
  const auto is_reason = [](const End& end) {
    return !WIFEXITED(end.status) || WEXITSTATUS(end.status) != exit_code(ErrorKind::Io);
  };
  const auto reason = std::find_if(failures.begin(), failures.end(), is_reason);
  const End& end = reason == failures.end() ? failures.front() : *reason;
  if (WIFSIGNALED(end.status))
    fail(ErrorKind::Internal, "rank {} was ended by signal {}", end.rank, WTERMSIG(end.status));
  std::exit(WEXITSTATUS(end.status));
}

}  // namespace sora::cli
