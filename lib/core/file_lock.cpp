#include "lib/core/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

namespace sora {
namespace {

constexpr auto kTick = std::chrono::milliseconds(100);

int open_to_lock(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  return fd >= 0 ? fd : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);  // a folder, another's file
}

// False only where another holds the lock.
bool change(int fd, int operation) {
  while (fd >= 0 && ::flock(fd, operation) != 0) {
    if (errno != EINTR) return errno != EWOULDBLOCK;
  }
  return true;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path) : fd_(open_to_lock(path)) {}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

void FileLock::lock() { change(fd_, LOCK_EX); }

void FileLock::lock(const Observer& observer) {
  while (!try_lock()) {
    check_stop(observer);
    std::this_thread::sleep_for(kTick);
  }
}

bool FileLock::try_lock() { return change(fd_, LOCK_EX | LOCK_NB); }

void FileLock::lock_shared() { change(fd_, LOCK_SH); }

void FileLock::unlock() { change(fd_, LOCK_UN); }

}  // namespace sora
