#include "lib/provenance/digest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/tensor_io/atomic_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunk = 1 << 20;
constexpr size_t kHexDigits = 64;

// What the files of a model are called; everything else (pictures, notes) changes no result.
constexpr std::string_view kModelExtensions[] = {".safetensors", ".gguf", ".json", ".model",
                                                 ".txt"};

// Models lie one level deep; the limit ends a link that leads back to a folder above it.
constexpr int kMaxDepth = 3;

class Hash {
 public:
  explicit Hash(const EVP_MD* kind = EVP_sha256()) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    check(context_ && EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1);
  }
  void add(const void* data, size_t size) {
    check(EVP_DigestUpdate(context_.get(), data, size) == 1);
  }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    check(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1);
    return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
  }

 private:
  static void check(bool done) {
    if (!done) fail(ErrorKind::Internal, "OpenSSL cannot compute this digest here");
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

class OpenFile {
 public:
  explicit OpenFile(const fs::path& path)
      // Nonblocking, or a FIFO in place of the file would hang the open.
      : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) {
      const bool absent = errno == ENOENT || errno == ENOTDIR;
      fail(absent ? ErrorKind::NotFound : ErrorKind::Io, "{}: cannot be opened: {}", path_.string(),
           std::strerror(errno));
    }
  }
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  struct stat status() const {
    struct stat status = {};
    if (::fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) {
      fail(ErrorKind::Input, "{}: is not a regular file", path_.string());
    }
    return status;
  }

  std::string digest(Hash hash, const Observer& observer) const {
    std::vector<char> chunk(kChunk);
    for (;;) {
      const ssize_t count = ::read(fd_, chunk.data(), chunk.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        fail(ErrorKind::Io, "{}: cannot be read: {}", path_.string(), std::strerror(errno));
      }
      if (count == 0) return hash.hex();
      hash.add(chunk.data(), static_cast<size_t>(count));
      check_stop(observer);
    }
  }

 private:
  fs::path path_;
  int fd_;
};

bool is_digest(std::string_view text) {
  return text.size() == kHexDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool changed_just_now(const struct stat& status) {
  constexpr int64_t kSettled_s = 2;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count() - status.st_mtim.tv_sec <
         kSettled_s;
}

bool same_state(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

bool is_model_file(const fs::path& path) {
  const std::string extension = path.extension().string();
  return std::find(std::begin(kModelExtensions), std::end(kModelExtensions), extension) !=
         std::end(kModelExtensions);
}

std::vector<fs::path> model_files(const fs::path& model) {
  if (!fs::is_directory(model)) return {model};
  std::vector<fs::path> files;
  std::error_code error;
  const auto options = fs::directory_options::follow_directory_symlink;
  for (fs::recursive_directory_iterator entry(model, options, error), end; entry != end;
       entry.increment(error)) {
    const bool hidden = entry->path().filename().string().front() == '.';
    if (hidden || entry.depth() >= kMaxDepth) entry.disable_recursion_pending();
    std::error_code unreadable;
    if (!hidden && entry->is_regular_file(unreadable) && is_model_file(entry->path())) {
      files.push_back(entry->path());
    }
  }
  if (error) fail(ErrorKind::Io, "{}: cannot be read: {}", model.string(), error.message());
  if (files.empty()) {
    fail(ErrorKind::NotFound, "{}: holds no model file; expected *.safetensors and its configs",
         model.string());
  }
  return files;
}

}  // namespace

std::string sha256_of_bytes(std::string_view bytes) {
  Hash hash;
  hash.add(bytes.data(), bytes.size());
  return hash.hex();
}

std::string sha256_of_file(const fs::path& path, const Observer& observer) {
  const OpenFile file(path);
  file.status();
  return file.digest(Hash(), observer);
}

std::string git_sha1_of_file(const fs::path& path, const Observer& observer) {
  const OpenFile file(path);
  Hash hash(EVP_sha1());
  const std::string head = fmt::format("blob {}", file.status().st_size);
  hash.add(head.c_str(), head.size() + 1);
  return file.digest(std::move(hash), observer);
}

DigestCache::DigestCache(fs::path directory) : directory_(std::move(directory)) {}

fs::path DigestCache::default_directory() {
  const struct {
    const char* variable;
    const char* below;
  } places[] = {{"SORA_CACHE", "digests"},
                {"XDG_CACHE_HOME", "sora/digests"},
                {"HOME", ".cache/sora/digests"}};
  for (const auto& place : places) {
    const char* value = std::getenv(place.variable);
    if (value && *value) return fs::path(value) / place.below;
  }
  return {};
}

std::string DigestCache::sha256(const fs::path& path, const Observer& observer) const {
  const OpenFile file(path);
  const struct stat before = file.status();
  std::error_code error;
  const fs::path canonical = fs::canonical(path, error);
  if (directory_.empty() || error) return file.digest(Hash(), observer);

  const std::string key =
      fmt::format("{}\n{}\n{}.{:09}", canonical.string(), static_cast<int64_t>(before.st_size),
                  static_cast<int64_t>(before.st_mtim.tv_sec), before.st_mtim.tv_nsec);
  const fs::path entry = directory_ / sha256_of_bytes(key);
  try {
    const std::string known = read_file(entry, kHexDigits);
    if (is_digest(known)) return known;
  } catch (const Error&) {
    // No entry yet, or one that cannot be read: the file itself decides.
  }

  const std::string digest = file.digest(Hash(), observer);
  if (changed_just_now(before) || !same_state(before, file.status())) return digest;
  fs::create_directories(directory_, error);
  try {
    AtomicFile cached(entry);
    cached.write(digest.data(), digest.size());
    cached.commit();
  } catch (const Error&) {
    // Without a cache the next run hashes again.
  }
  return digest;
}

std::vector<FileDigest> digest_model(const fs::path& model, const DigestCache& cache,
                                     const Observer& observer) {
  const bool is_directory = fs::is_directory(model);
  std::vector<FileDigest> digests;
  for (const fs::path& file : model_files(model)) {
    FileDigest digest;
    digest.name =
        (is_directory ? file.lexically_relative(model) : file.filename()).generic_string();
    digest.sha256 = cache.sha256(file, observer);
    digest.size = static_cast<int64_t>(fs::file_size(file));
    digests.push_back(std::move(digest));
  }
  std::sort(digests.begin(), digests.end(),
            [](const FileDigest& a, const FileDigest& b) { return a.name < b.name; });
  return digests;
}

std::string fingerprint(const std::vector<FileDigest>& files) {
  Hash hash;
  for (const FileDigest& file : files) {
    const std::string line = fmt::format("{} {} {}\n", file.sha256, file.size, file.name);
    hash.add(line.data(), line.size());
  }
  return hash.hex();
}

}  // namespace sora
