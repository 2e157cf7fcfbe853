// The hub's side: GET /api/models/REPO/revision/REV lists the files of a commit; HEAD and GET
// /REPO/resolve/COMMIT/FILE give one, perhaps by a redirect to its storage. A file's ETag (of the
// storage: X-Linked-Etag) is its name in the cache: the SHA-256 of a large file, git's SHA-1 of
// others.
#include "lib/hub/pull.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <fnmatch.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/hub/http_client.h"
#include "lib/provenance/digest.h"
#include "lib/tensor_io/atomic_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPublicHub = "https://huggingface.co";
constexpr int kMaxAttempts = 6;
constexpr size_t kShaDigits = 64, kGitDigits = 40;
constexpr int64_t kMaxFiles = 100'000;
constexpr size_t kMaxNamed = 8;  // of them in a message

// Pickles are never read, pictures and examples are no part of a model.
constexpr const char* kNeeded[] = {"*.safetensors", "*.gguf",    "*.json",  "*.model",
                                   "*.txt",         "README.md", "LICENSE*"};

struct HubFile {
  std::string path;  // in the repository
  std::string etag;
  int64_t size = 0;
  std::string url;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string token() {
  if (std::string given = environment("HF_TOKEN"); !given.empty()) return given;
  const std::string home = environment("HF_HOME");
  const fs::path file = home.empty() ? fs::path(environment("HOME")) / ".cache/huggingface/token"
                                     : fs::path(home) / "token";
  if (!fs::is_regular_file(file)) return "";
  std::string text = read_file(file, 4096);
  text.erase(
      std::remove_if(text.begin(), text.end(), [](unsigned char c) { return std::isspace(c); }),
      text.end());
  return text;
}

std::string endpoint() {
  std::string given = environment("HF_ENDPOINT");
  while (given.ends_with('/')) given.pop_back();
  return given.empty() ? kPublicHub : given;
}

std::string escaped(std::string_view path) {
  std::string result;
  for (const char c : path) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-_.~/", c);
    if (plain) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// A path that stays where it is put, whoever names it.
bool is_plain_path(std::string_view path) {
  if (path.empty() || path.size() > 1024 || path.front() == '/' || path.find('\\') != path.npos ||
      path.find('\0') != path.npos)
    return false;
  for (const fs::path& part : fs::path(path)) {
    if (part == ".." || part == "." || part.empty()) return false;
  }
  return true;
}

[[noreturn]] void fail_with_status(int status, const std::string& url, const HubName& name) {
  if (status == 401 || status == 403) {
    fail(ErrorKind::Refused,
         "{}: the hub answers {}; set HF_TOKEN to a token that may read {}, and accept the model's "
         "terms "
         "on its page if it has any",
         url, status, name.repository);
  }
  if (status == 404) {
    fail(ErrorKind::NotFound, "{}@{}: the hub has no such model or revision ({})", name.repository,
         name.revision, url);
  }
  fail(ErrorKind::Io, "{}: the hub answers {}", url, status);
}

// Calls until it succeeds or has failed kMaxAttempts times in a row, waiting longer each time.
template <typename Call>
auto with_retries(const Observer& observer, const Call& call) {
  for (int attempt = 1;; ++attempt) {
    try {
      return call();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Io || attempt == kMaxAttempts) throw;
    }
    check_stop(observer);
    std::this_thread::sleep_for(std::chrono::milliseconds(100) * (1 << attempt));
  }
}

struct Listing {
  std::string commit;
  std::vector<std::string> paths;      // that are wanted
  std::vector<std::string> all_paths;  // of the repository
};

Listing list_files(HttpClient& client, const HubName& name, const PullOptions& options,
                   const Observer& observer) {
  const std::string url = fmt::format("{}/api/models/{}/revision/{}", endpoint(), name.repository,
                                      escaped(name.revision));
  const HttpResponse response = with_retries(observer, [&] {
    HttpResponse answer = client.get(url);
    if (answer.status >= 500) fail(ErrorKind::Io, "{}: the hub answers {}", url, answer.status);
    return answer;
  });
  if (response.status != 200) fail_with_status(response.status, url, name);
  const nlohmann::json json = parse_json(response.body, url);
  Listing listing;
  if (json.is_object() && json.contains("sha") && json["sha"].is_string())
    listing.commit = json["sha"];
  const bool has_files =
      json.is_object() && json.contains("siblings") && json["siblings"].is_array();
  if (listing.commit.size() != kGitDigits || !is_hex(listing.commit) || !has_files ||
      static_cast<int64_t>(json["siblings"].size()) > kMaxFiles) {
    fail(ErrorKind::Input, "{}: is no answer of a model hub; is HF_ENDPOINT right?", url);
  }
  for (const nlohmann::json& file : json["siblings"]) {
    const std::string path =
        file.is_object() && file.contains("rfilename") && file["rfilename"].is_string()
            ? file["rfilename"].get<std::string>()
            : "";
    if (!is_plain_path(path)) fail(ErrorKind::Input, "{}: lists a file named \"{}\"", url, path);
    listing.all_paths.push_back(path);
    const auto matches = [&](const std::string& glob) {
      return fnmatch(glob.c_str(), path.c_str(), 0) == 0;
    };
    const bool wanted = options.include.empty()
                            ? std::any_of(std::begin(kNeeded), std::end(kNeeded), matches)
                            : std::any_of(options.include.begin(), options.include.end(), matches);
    if (wanted) listing.paths.push_back(path);
  }
  return listing;
}

HubFile describe(HttpClient& client, const HubName& name, const std::string& commit,
                 const std::string& path, const Observer& observer) {
  HubFile file;
  file.path = path;
  file.url = fmt::format("{}/{}/resolve/{}/{}", endpoint(), name.repository, commit, escaped(path));
  const HttpResponse response = with_retries(observer, [&] {
    HttpResponse answer = client.head(file.url);
    if (answer.status >= 500)
      fail(ErrorKind::Io, "{}: the hub answers {}", file.url, answer.status);
    return answer;
  });
  if (response.status >= 400) fail_with_status(response.status, file.url, name);
  const auto header = [&](const char* first, const char* second) {
    const auto found = response.headers.find(first);
    if (found != response.headers.end()) return found->second;
    const auto other = response.headers.find(second);
    return other == response.headers.end() ? std::string() : other->second;
  };
  file.etag = header("x-linked-etag", "etag");
  if (file.etag.starts_with("W/")) file.etag.erase(0, 2);
  file.etag.erase(std::remove(file.etag.begin(), file.etag.end(), '"'), file.etag.end());
  const std::string size = header("x-linked-size", "content-length");
  const bool known_size =
      !size.empty() && size.size() < 18 &&
      std::all_of(size.begin(), size.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!known_size || !is_hex(file.etag) ||
      (file.etag.size() != kShaDigits && file.etag.size() != kGitDigits)) {
    fail(ErrorKind::Input, "{}: the hub tells no size and digest (ETag \"{}\", size \"{}\")",
         file.url, file.etag, size);
  }
  file.size = std::stoll(size);
  return file;
}

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
  return (wanted.etag.size() == kShaDigits ? sha256_of_file(file, observer)
                                           : git_sha1_of_file(file, observer)) == wanted.etag;
}

// Blobs of one model, being filled by several threads.
class Blobs {
 public:
  Blobs(const fs::path& model, const fs::path& locks, Observer& observer, int64_t total)
      : directory_(model / "blobs"), locks_(locks), observer_(observer), total_(total) {
    fs::create_directories(directory_);
    fs::create_directories(locks_);
    observer_.begin(Phase::Load, total_);
  }

  fs::path path(const HubFile& file) const { return directory_ / file.etag; }
  int64_t num_bytes_loaded() const { return loaded_; }

  // Returns when the file is there and right.
  void load(HttpClient& client, const HubFile& file) {
    const Descriptor lock(locks_ / (file.etag + ".lock"), O_RDWR | O_CREAT);
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {  // another process loads the same
      check_stop(observer_);
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    if (fs::exists(path(file))) return advance(file.size);
    const fs::path incomplete = directory_ / (file.etag + ".incomplete");
    for (int round = 1;; ++round) {
      fetch(client, file, incomplete);
      if (is_right(incomplete, file, observer_)) break;
      fs::remove(incomplete);
      if (round == 2) {
        fail(ErrorKind::Input,
             "{}: what came is not what the hub's digest {} says, twice; nothing was kept",
             file.url, file.etag);
      }
    }
    const Descriptor done(incomplete, O_RDONLY);
    ::fsync(done.get());
    fs::rename(incomplete, path(file));
    loaded_ += file.size;
  }

 private:
  // A cut connection counts as a failure only if nothing came before the cut.
  void fetch(HttpClient& client, const HubFile& file, const fs::path& incomplete) {
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
        std::this_thread::sleep_for(std::chrono::milliseconds(100) * (1 << attempt));
      }
    }
  }

  void fetch_from(HttpClient& client, const HubFile& file, const fs::path& incomplete,
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
          output = std::make_unique<Descriptor>(
              incomplete, O_WRONLY | O_CREAT | (resumes ? O_APPEND : O_TRUNC));
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

  void advance(int64_t bytes) {
    const std::lock_guard guard(mutex_);
    done_ = std::min(done_ + bytes, total_);
    observer_.advance(Phase::Load, done_);
  }

  fs::path directory_, locks_;
  Observer& observer_;
  std::mutex mutex_;
  int64_t total_;
  int64_t done_ = 0;
  std::atomic<int64_t> loaded_ = 0;
};

void check_space(const fs::path& directory, int64_t needed) {
  struct statvfs status = {};
  if (::statvfs(directory.c_str(), &status) != 0) return;
  const auto free_bytes =
      static_cast<int64_t>(status.f_bavail) * static_cast<int64_t>(status.f_frsize);
  if (free_bytes >= needed) return;
  fail(ErrorKind::Io,
       "{}: has {} MB free, the model needs {} MB more; HF_HUB_CACHE names another place",
       directory.string(), free_bytes / 1'000'000, needed / 1'000'000);
}

// A relative link, as Hugging Face's tools make it.
void enter(const fs::path& snapshot, const HubFile& file, const fs::path& blob) {
  const fs::path link = snapshot / file.path;
  fs::create_directories(link.parent_path());
  const fs::path target = blob.lexically_relative(link.parent_path());
  std::error_code error;
  if (fs::is_symlink(link) && fs::read_symlink(link, error) == target) return;
  fs::remove(link, error);
  fs::create_symlink(target, link);
}

void load_all(const std::vector<HubFile>& files, const PullOptions& options, Blobs& blobs) {
  std::atomic<size_t> next = 0;
  std::exception_ptr first_failure;
  std::mutex mutex;
  const auto work = [&] {
    try {
      HttpClient client(token());
      for (size_t i = next++; i < files.size(); i = next++) blobs.load(client, files[i]);
    } catch (...) {
      const std::lock_guard guard(mutex);
      if (!first_failure) first_failure = std::current_exception();
      next = files.size();
    }
  };
  std::vector<std::thread> threads;
  const int count = std::clamp(options.connections, 1, 16);
  for (int i = 0; i < count; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (first_failure) std::rethrow_exception(first_failure);
}

void check_online(const HubName& name, const PullOptions& options) {
  const std::string offline = environment("HF_HUB_OFFLINE");
  if (!options.offline && (offline.empty() || offline == "0" || offline == "false")) return;
  fail(ErrorKind::Refused,
       "{}: is not loaded, because --offline or HF_HUB_OFFLINE forbids the network",
       name.repository);
}

void check_not_empty(const Listing& listing, const HubName& name, const PullOptions& options) {
  if (!listing.paths.empty()) return;
  std::vector<std::string> there = listing.all_paths;
  const bool are_more = there.size() > kMaxNamed;
  if (are_more) there.resize(kMaxNamed);
  fail(ErrorKind::NotFound, "{}@{}: has no file {}; it has: {}{}", name.repository, name.revision,
       options.include.empty() ? "of a model"
                               : fmt::format("that is {}", fmt::join(options.include, " or ")),
       fmt::join(there, ", "), are_more ? ", ..." : "");
}

// Which commit a branch or tag stands for.
void enter_revision(const fs::path& model, const std::string& revision, const std::string& commit) {
  if (revision == commit) return;
  const fs::path ref = model / "refs" / revision;
  fs::create_directories(ref.parent_path());
  AtomicFile entry(ref);
  entry.write(commit.data(), commit.size());
  entry.commit();
}

}  // namespace

PullResult pull_model(const HubName& name, const PullOptions& options, Observer& observer,
                      const fs::path& cache) {
  check_online(name, options);
  std::string folder = "models--" + name.repository;
  folder.replace(folder.find('/'), 1, "--");
  const fs::path model = cache / folder;

  HttpClient client(token());
  const Listing listing = list_files(client, name, options, observer);
  check_not_empty(listing, name, options);
  std::vector<HubFile> files;
  PullResult result;
  int64_t missing = 0;
  for (const std::string& path : listing.paths) {
    check_stop(observer);
    files.push_back(describe(client, name, listing.commit, path, observer));
    result.num_bytes += files.back().size;
    if (!fs::exists(model / "blobs" / files.back().etag)) missing += files.back().size;
  }
  Blobs blobs(model, cache / ".locks" / folder, observer, result.num_bytes);
  check_space(model, missing);
  load_all(files, options, blobs);

  result.commit = listing.commit;
  result.snapshot = model / "snapshots" / listing.commit;
  for (const HubFile& file : files) enter(result.snapshot, file, blobs.path(file));
  enter_revision(model, name.revision, listing.commit);
  result.num_files = static_cast<int64_t>(files.size());
  result.num_bytes_loaded = blobs.num_bytes_loaded();
  return result;
}

}  // namespace sora
