#include "cli/batch/running_batch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "lib/jobs/stable_seed.h"

namespace sora::cli {
namespace {

bool lock(int fd, int operation) {
  while (::flock(fd, operation) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

}  // namespace

// A file system without such locks has no such protection.
RunningBatch::RunningBatch(const OutputFolder& folder, const std::string& batch) {
  const std::filesystem::path place = folder.root() / ".sora" / "running";
  std::error_code ignored;
  std::filesystem::create_directories(place, ignored);
  fd_ = ::open((place / stable_name(batch)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  share();
}

RunningBatch::RunningBatch(RunningBatch&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RunningBatch::~RunningBatch() {
  if (fd_ >= 0) ::close(fd_);
}

bool RunningBatch::take_alone() {
  if (lock(fd_, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK) return true;
  share();  // a change of the lock that fails may have lost it
  return false;
}

void RunningBatch::share() { lock(fd_, LOCK_SH); }

}  // namespace sora::cli
