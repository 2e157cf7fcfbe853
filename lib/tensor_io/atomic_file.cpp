#include "lib/tensor_io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "lib/core/error.h"

namespace sora {

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  static std::atomic<int> counter{0};
  // The process number keeps two programs apart, the counter two writers of this one.
  temporary_ = path_.parent_path() / fmt::format(".{}.{}-{}.tmp", path_.filename().string(),
                                                 ::getpid(), counter.fetch_add(1));
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) fail_with_errno("created");
  unfinished_ = UnfinishedFile(temporary_.string());
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  constexpr size_t kMaxChunk = 64 << 20;  // one write() takes at most 2 GiB
  const char* position = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t count = ::write(fd_, position, std::min(size, kMaxChunk));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_with_errno("written");
    position += count;
    size -= static_cast<size_t>(count);
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) fail_with_errno("written");
  const int closed = ::close(std::exchange(fd_, -1));
  if (closed != 0) fail_with_errno("written");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with_errno("created");
  temporary_.clear();
  unfinished_ = {};

  const std::filesystem::path parent = path_.has_parent_path() ? path_.parent_path() : ".";
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return;  // the file is there; a directory that cannot be opened cannot be synced
  ::fsync(directory);
  ::close(directory);
}

void AtomicFile::fail_with_errno(const char* action) const {
  fail(ErrorKind::Io, "{}: cannot be {}: {}", path_.string(), action, std::strerror(errno));
}

}  // namespace sora
