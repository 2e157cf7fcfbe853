#include "lib/media/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>

#include "lib/core/error.h"

namespace sora {
namespace {

std::string error_name(int error_number) { return std::strerror(error_number); }

// A link is followed when its target is to be replaced, so that the link itself stays.
std::string resolve_link(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error)) return path;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

std::string temporary_name(const std::string& path, uint32_t salt) {
  const std::filesystem::path target(path);
  // A name may have 255 bytes; the temporary one keeps only its beginning.
  return (target.parent_path() /
          fmt::format(".{:.64}.part-{:08x}", target.filename().string(), salt))
      .string();
}

}  // namespace

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

void OutputFile::check(const std::string& path, bool force) {
  if (path == "-") return;
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    const bool is_link = S_ISLNK(status.st_mode);
    struct stat target {};
    const bool has_target = ::stat(path.c_str(), &target) == 0;
    if (has_target && !S_ISREG(target.st_mode)) {
      fail(ErrorKind::Usage, "{} is {} and cannot be written as a file; choose another name", path,
           S_ISDIR(target.st_mode) ? "a folder" : "no regular file");
    }
    if (!force) {
      fail(ErrorKind::Usage, "{} exists already{}; choose another name, or --force to replace it",
           path, is_link ? " (as a link)" : "");
    }
  } else if (errno != ENOENT) {
    const int error_number = errno;
    fail(error_number == ENOTDIR ? ErrorKind::NotFound : ErrorKind::Io, "{} cannot be written: {}",
         path, error_name(error_number));
  }
  const std::string folder = folder_of(path);
  struct stat folder_status {};
  if (::stat(folder.c_str(), &folder_status) != 0 || !S_ISDIR(folder_status.st_mode)) {
    fail(ErrorKind::NotFound,
         "the folder {} of {} does not exist; create it or choose another name", folder, path);
  }
}

OutputFile::OutputFile(const std::string& path, bool force) : path_(path), force_(force) {
  check(path, force);
  if (path == "-") {
    is_stream_ = true;
    fd_ = ::dup(STDOUT_FILENO);
    if (fd_ < 0) fail(ErrorKind::Io, "stdout cannot be written: {}", error_name(errno));
    return;
  }
  if (force_) path_ = resolve_link(path);
  std::random_device random;
  for (int attempt = 0; fd_ < 0 && attempt < 100; ++attempt) {
    temporary_path_ = temporary_name(path_, random());
    fd_ = ::open(temporary_path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST) {
      const int error_number = errno;
      fail(ErrorKind::Io, "the folder {} cannot be written: {}; choose another for {}",
           folder_of(path), error_name(error_number), path);
    }
  }
  if (fd_ < 0) fail(ErrorKind::Io, "no free temporary name in the folder {}", folder_of(path));
  unfinished_ = UnfinishedFile(temporary_path_);
}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!is_stream_) ::unlink(temporary_path_.c_str());
}

void OutputFile::fail_with(int error_number, const char* action) const {
  if (is_stream_ && error_number == EPIPE) fail(ErrorKind::Io, "stdout was closed by its reader");
  const std::string name = is_stream_ ? "stdout" : path_;
  if (error_number == ENOSPC || error_number == EDQUOT) {
    throw DiskFull(
        fmt::format("{}: the disk is full after {} bytes; free some space or choose another folder",
                    name, size_));
  }
  fail(ErrorKind::Io, "{}: {} failed: {}", name, action, error_name(error_number));
}

void OutputFile::write(const void* data, size_t size) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd_, bytes, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      fail_with(errno, "writing");
    }
    bytes += written;
    size -= static_cast<size_t>(written);
    position_ += written;
    if (position_ > size_) size_ = position_;
  }
}

int64_t OutputFile::seek(int64_t position) {
  if (is_stream_ || ::lseek(fd_, position, SEEK_SET) < 0) return -1;
  position_ = position;
  return position;
}

void OutputFile::commit() {
  if (is_stream_) {
    ::close(fd_);
    fd_ = -1;
    return;
  }
  if (::fsync(fd_) != 0) fail_with(errno, "writing to the disk");
  rename_into_place(temporary_path_, path_, force_);
  unfinished_ = {};
  ::close(fd_);
  fd_ = -1;
  sync_path(folder_of(path_));
}

void rename_into_place(const std::string& from, const std::string& to, bool force) {
  if (force) {
    if (::rename(from.c_str(), to.c_str()) == 0) return;
  } else {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
    // Some network file systems have no such rename; a hard link refuses an existing name as well.
    if (errno == EINVAL || errno == ENOSYS) {
      if (::link(from.c_str(), to.c_str()) == 0) {
        ::unlink(from.c_str());
        return;
      }
    }
    if (errno == EEXIST) {
      fail(ErrorKind::Usage,
           "{} has come to exist meanwhile; choose another name, or --force to replace it", to);
    }
  }
  fail(ErrorKind::Io, "{} cannot be given its name: {}", to, error_name(errno));
}

void sync_path(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(ErrorKind::Io, "{} cannot be opened: {}", path, error_name(errno));
  const int result = ::fsync(fd);
  const int error_number = errno;
  ::close(fd);
  // Some file systems cannot sync a folder and say so with EINVAL; there is nothing left to do
  // then.
  if (result != 0 && error_number != EINVAL) {
    fail(ErrorKind::Io, "{} cannot be put on the disk: {}", path, error_name(error_number));
  }
}

}  // namespace sora
