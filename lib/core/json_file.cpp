#include "lib/core/json_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr std::string_view kLfsPointer = "version https://git-lfs";

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::string read_file(const std::filesystem::path& path, int64_t max_bytes) {
  // Nonblocking, or a FIFO in place of the file would hang the open.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    const int code = errno;
    const bool absent = code == ENOENT || code == ENOTDIR;
    fail(absent ? ErrorKind::NotFound : ErrorKind::Io, "{}: cannot be opened: {}", path.string(),
         std::strerror(code));
  }
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    fail(ErrorKind::Input, "{}: is not a regular file", path.string());
  }
  if (status.st_size > max_bytes) {
    fail(ErrorKind::Input, "{}: has {} bytes, at most {} are accepted for this kind of file",
         path.string(), static_cast<int64_t>(status.st_size), max_bytes);
  }
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      fail(ErrorKind::Io, "{}: cannot be read: {}", path.string(), std::strerror(errno));
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

nlohmann::json parse_json(std::string_view text, const std::string& description) {
  if (text.substr(0, kLfsPointer.size()) == kLfsPointer) {
    fail(ErrorKind::Input,
         "{}: is a git-lfs pointer, not the file itself; run `git lfs pull` in its repository",
         description);
  }
  const auto limit_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxJsonDepth) {
      fail(ErrorKind::Input, "{}: JSON nests deeper than {} levels", description, kMaxJsonDepth);
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, limit_depth);
  } catch (const nlohmann::json::parse_error& error) {
    fail(ErrorKind::Input, "{}: is not valid JSON at byte {} of {}", description, error.byte,
         text.size());
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::Input, "{}: holds a number that JSON readers cannot represent", description);
  }
}

nlohmann::json read_json_file(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

}  // namespace sora
