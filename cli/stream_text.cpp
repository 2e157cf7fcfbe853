// read(2) goes on after a signal (SA_RESTART), so it is called only when there is something to
// read.
#include "cli/stream_text.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "cli/signals.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

constexpr int kStreamPoll_ms = 100;

class OpenStream {
 public:
  explicit OpenStream(const std::string& name)
      : fd_(name == "-" ? STDIN_FILENO : ::open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {}
  ~OpenStream() {
    if (fd_ > STDIN_FILENO) ::close(fd_);
  }
  OpenStream(const OpenStream&) = delete;
  OpenStream& operator=(const OpenStream&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::string read_stream(const std::string& name) {
  const OpenStream stream(name);
  const auto fail_to_read = [&] {
    fail(ErrorKind::Io, "{} cannot be read: {}", name == "-" ? "stdin" : name,
         std::strerror(errno));
  };
  if (stream.get() < 0) fail_to_read();
  std::string text;
  std::array<char, 1 << 16> piece;
  for (;;) {
    if (stop_signalled()) fail(ErrorKind::Cancelled, "interrupted");
    pollfd waiting = {stream.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kStreamPoll_ms) <= 0) continue;
    const ssize_t size = ::read(stream.get(), piece.data(), piece.size());
    if (size == 0) return text;
    if (size > 0) {
      text.append(piece.data(), static_cast<size_t>(size));
    } else if (errno != EAGAIN && errno != EINTR) {
      fail_to_read();
    }
  }
}

}  // namespace sora::cli
