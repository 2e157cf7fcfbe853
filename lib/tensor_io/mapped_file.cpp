#include "lib/tensor_io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/core/error.h"

namespace sora {
namespace {

int64_t modified_ns(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // Nonblocking, or a FIFO in place of the file would hang the open.
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) {
    const int code = errno;
    const bool absent = code == ENOENT || code == ENOTDIR;
    fail(absent ? ErrorKind::NotFound : ErrorKind::Io, "{}: cannot be opened: {}", path.string(),
         std::strerror(code));
  }
  const auto close_and_fail = [&](ErrorKind kind, const std::string& reason) {
    ::close(fd_);
    fail(kind, "{}: {}", path.string(), reason);
  };
  struct stat status = {};
  if (::fstat(fd_, &status) != 0) close_and_fail(ErrorKind::Io, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) close_and_fail(ErrorKind::Input, "is not a regular file");
  size_ = static_cast<size_t>(status.st_size);
  modified_ns_ = modified_ns(status);
  if (size_ == 0) return;  // an empty range cannot be mapped
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_, 0);
  if (address == MAP_FAILED) {
    close_and_fail(ErrorKind::Io, fmt::format("cannot be mapped: {}", std::strerror(errno)));
  }
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
  ::close(fd_);
}

void MappedFile::check_unchanged() const {
  struct stat status = {};
  if (::fstat(fd_, &status) == 0 && static_cast<size_t>(status.st_size) == size_ &&
      modified_ns(status) == modified_ns_) {
    return;
  }
  fail(ErrorKind::Input,
       "{}: was changed by another program while in use; writers should replace it by renaming",
       path_.string());
}

}  // namespace sora
