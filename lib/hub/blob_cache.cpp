#include "lib/hub/blob_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "lib/core/error.h"
#include "lib/core/file_lock.h"
#include "lib/hub/retries.h"
#include "lib/provenance/digest.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

// Unlike a broken connection it is not tried again.
class DiskError : public Error {
  using Error::Error;
};

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags)
      : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (fd_ < 0) {
      throw DiskError(ErrorKind::Io,
                      fmt::format("{}: cannot be opened: {}", path.string(), std::strerror(errno)));
    }
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

  void write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        throw DiskError(ErrorKind::Io, fmt::format("{}: cannot be written: {}", path_.string(),
                                                   std::strerror(errno)));
      }
      bytes.remove_prefix(static_cast<size_t>(written));
    }
  }

 private:
  fs::path path_;
  int fd_;
};

bool is_right(const fs::path& file, const HubFile& wanted, const Observer& observer) {
  return (wanted.etag.size() == kSha256Digits ? sha256_of_file(file, observer)
                                              : git_sha1_of_file(file, observer)) == wanted.etag;
}

}  // namespace

BlobCache::BlobCache(const fs::path& model, const fs::path& locks, Observer& observer,
                     int64_t total)
    : directory_(model / "blobs"), locks_(locks), observer_(observer), total_(total) {
  fs::create_directories(directory_);
  fs::create_directories(locks_);
  observer_.begin(Phase::Load, total_);
}

bool BlobCache::is_there(const HubFile& file) const {
  std::error_code none;
  const uintmax_t size = fs::file_size(path(file), none);
  return !none && static_cast<int64_t>(size) == file.size;
}

int64_t BlobCache::num_bytes_missing(const HubFile& file) const {
  if (is_there(file)) return 0;
  std::error_code none;
  const uintmax_t begun = fs::file_size(incomplete_path(file), none);
  return none || static_cast<int64_t>(begun) > file.size ? file.size
                                                         : file.size - static_cast<int64_t>(begun);
}

void BlobCache::load(HttpClient& client, const HubFile& file) {
  FileLock turn(locks_ / (file.etag + ".lock"));
  turn.lock(observer_);  // another process may be loading the same
  if (is_there(file)) return advance(file.size);
  const fs::path incomplete = incomplete_path(file);
  for (int round = 1;; ++round) {
    fetch(client, file, incomplete);
    if (is_right(incomplete, file, observer_)) break;
    fs::remove(incomplete);
    if (round == 2) {
      fail(ErrorKind::Input,
           "{}: what came is not what the hub's digest {} says, twice; nothing was kept", file.url,
           file.etag);
    }
  }
  const Descriptor done(incomplete, O_RDONLY);
  ::fsync(done.get());
  fs::rename(incomplete, path(file));
  loaded_ += file.size;
}

// A cut connection counts as a failure only if nothing came before the cut.
void BlobCache::fetch(HttpClient& client, const HubFile& file, const fs::path& incomplete) {
  int64_t last_size = -1;
  for (int attempt = 1;;) {
    std::error_code none;
    int64_t size =
        fs::exists(incomplete) ? static_cast<int64_t>(fs::file_size(incomplete, none)) : 0;
    if (size > file.size) size = 0, fs::remove(incomplete);
    if (size == file.size && fs::exists(incomplete)) return;
    attempt = size > last_size ? 1 : attempt + 1;
    last_size = size;
    try {
      fetch_from(client, file, incomplete, size);
    } catch (const DiskError&) {
      throw;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Io || attempt >= kMaxAttempts) throw;
      check_stop(observer_);
      wait_after(attempt);
    }
  }
}

void BlobCache::fetch_from(HttpClient& client, const HubFile& file, const fs::path& incomplete,
                           int64_t from) {
  std::unique_ptr<Descriptor> output;
  int64_t size = from;
  if (file.size == 0) {
    Descriptor(incomplete, O_WRONLY | O_CREAT | O_TRUNC);
    return;
  }
  const HttpResponse response = client.download(
      file.url, from,
      [&](int status) {
        const bool resumes = status == 206 && from > 0;
        output = std::make_unique<Descriptor>(incomplete,
                                              O_WRONLY | O_CREAT | (resumes ? O_APPEND : O_TRUNC));
        if (!resumes) size = 0;
      },
      [&](std::string_view bytes) {
        if (observer_.stop_requested() || size + static_cast<int64_t>(bytes.size()) > file.size)
          return false;
        output->write(bytes);
        size += static_cast<int64_t>(bytes.size());
        advance(static_cast<int64_t>(bytes.size()));
        return true;
      });
  check_stop(observer_);
  if (response.status != 200 && response.status != 206)
    fail(ErrorKind::Io, "{}: the hub answers {}", file.url, response.status);
  if (size < file.size)
    fail(ErrorKind::Io, "{}: the connection ended at byte {} of {}", file.url, size, file.size);
}

void BlobCache::advance(int64_t bytes) {
  const std::lock_guard guard(mutex_);
  done_ = std::min(done_ + bytes, total_);
  observer_.advance(Phase::Load, done_);
}

}  // namespace sora
