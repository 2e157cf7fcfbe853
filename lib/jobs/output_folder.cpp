// Folders are opened one by one below the root without following links (openat(2), O_NOFOLLOW), so
// that a link put there by someone else leads nowhere.
#include "lib/jobs/output_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "lib/core/error.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

// Of one part; a temporary name in front of it must fit into 255.
constexpr size_t kMaxNameBytes = 200;

constexpr size_t kProbeBytes = 256 << 10;  // less than this free is a full disk

constexpr const char* kLatents = "latents.safetensors";
constexpr const char* kKey = "key";  // of the job whose latents lie beside it

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// The folder `below` the root; with `create`, made where it is missing. -1 inside where it is
// missing otherwise.
Descriptor open_below(const fs::path& root, const fs::path& below, bool create) {
  Descriptor folder(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0)
    fail(ErrorKind::Io, "the folder {} cannot be opened: {}", root.string(), std::strerror(errno));
  for (const fs::path& part : below) {
    if (part.empty() || part == ".") continue;
    if (create && ::mkdirat(folder.get(), part.c_str(), 0777) != 0 && errno != EEXIST) {
      fail(ErrorKind::Io, "the folder {} cannot be made: {}", (root / below).string(),
           std::strerror(errno));
    }
    Descriptor next(
        ::openat(folder.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next.get() < 0 && errno == ENOENT) return next;
    if (next.get() < 0) {
      const bool is_link = errno == ELOOP || errno == ENOTDIR;
      fail(is_link ? ErrorKind::Usage : ErrorKind::Io, "{} cannot be used below {}: {}",
           part.string(), root.string(),
           is_link ? "it is a link or no folder" : std::strerror(errno));
    }
    folder = std::move(next);
  }
  return folder;
}

int64_t mtime_ns(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

// Empty where there is none.
std::string read_file_in(const Descriptor& folder, const char* name) {
  const Descriptor file(::openat(folder.get(), name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> piece;
  for (ssize_t size = 1; file.get() >= 0 && size > 0;) {
    size = ::read(file.get(), piece.data(), piece.size());
    if (size > 0) text.append(piece.data(), static_cast<size_t>(size));
  }
  return text;
}

bool write_file_in(const Descriptor& folder, const char* name, const std::string& text) {
  const Descriptor file(
      ::openat(folder.get(), name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
  return file.get() >= 0 &&
         ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool is_unaltered(const fs::path& path, const JobFile& file, const Sha256OfFile& sha256) {
  struct stat status = {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         status.st_size == file.bytes &&
         (mtime_ns(status) == file.mtime_ns || sha256(path) == file.sha256);
}

// A file on its way from the stage to its name. Folders are opened anew each time: a sequence has
// more files than a process may have open.
class Naming {
 public:
  Naming(const fs::path& root, const fs::path& stage, const fs::path& name)
      : root_(root), stage_(stage / name.parent_path()), name_(name), last_(name.filename()) {
    is_staged_ = find(staged_folder(), staged_);
  }

  bool is_staged() const { return is_staged_; }

  // Throws Error(Usage) where something else has the name.
  void check(bool force) const {
    struct stat other = {};
    if (!find(final_folder(), other) || is_linked(other)) return;
    if (!force) fail_as_taken();
    if (S_ISDIR(other.st_mode))
      fail(ErrorKind::Usage, "{} is a folder; move it away", (root_ / name_).string());
  }

  void give(bool force) const {
    const Descriptor from = staged_folder(), to = final_folder();
    const unsigned flags = force ? 0 : RENAME_NOREPLACE;
    int renamed = ::renameat2(from.get(), last_.c_str(), to.get(), last_.c_str(), flags);
    if (renamed != 0 && !force &&
        (errno == EINVAL || errno == ENOSYS)) {  // some network file systems
      renamed = ::linkat(from.get(), last_.c_str(), to.get(), last_.c_str(), 0);
    }
    if (renamed == 0) return;
    const int reason = errno;
    struct stat other = {};
    if (reason == EEXIST && find(to, other) && is_linked(other)) return;
    if (reason == EEXIST) fail_as_taken();
    fail(ErrorKind::Io, "{} cannot be given its name: {}", (root_ / name_).string(),
         std::strerror(reason));
  }

  void take_back() const {
    const Descriptor from = staged_folder(), to = final_folder();
    struct stat staged = {};
    if (find(from, staged)) {
      ::unlinkat(to.get(), last_.c_str(), 0);  // linked
    } else {
      ::renameat2(to.get(), last_.c_str(), from.get(), last_.c_str(), RENAME_NOREPLACE);
    }
  }

  void put_on_disk() const {
    if (::fsync(final_folder().get()) != 0 && errno != EINVAL)
      fail(ErrorKind::Io, "{} cannot be put on the disk: {}", (root_ / name_).string(),
           std::strerror(errno));
  }

 private:
  Descriptor staged_folder() const { return open_below(root_, stage_, false); }
  Descriptor final_folder() const { return open_below(root_, name_.parent_path(), true); }
  bool find(const Descriptor& folder, struct stat& status) const {
    return folder.get() >= 0 &&
           ::fstatat(folder.get(), last_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  }
  bool is_linked(const struct stat& other) const {
    return other.st_ino == staged_.st_ino && other.st_dev == staged_.st_dev;
  }
  [[noreturn]] void fail_as_taken() const {
    fail(ErrorKind::Usage, "{} has come to exist meanwhile; move it away, or --force to replace it",
         (root_ / name_).string());
  }

  fs::path root_, stage_, name_, last_;
  struct stat staged_ = {};
  bool is_staged_ = false;
};

}  // namespace

OutputFolder::OutputFolder(const fs::path& root) {
  std::error_code error;
  fs::create_directories(root, error);
  if (error)
    fail(ErrorKind::Io, "the folder {} cannot be made: {}; choose another", root.string(),
         error.message());
  root_ = fs::canonical(root, error);
  if (error || !fs::is_directory(root_))
    fail(ErrorKind::Io, "{} is no folder that can be used", root.string());
}

void OutputFolder::check_name(const std::string& name) {
  const fs::path path(name);
  if (name.empty() || name.back() == '/') fail(ErrorKind::Usage, "'{}' is no file name", name);
  if (path.is_absolute())
    fail(ErrorKind::Usage,
         "the output {} is an absolute path; outputs lie in the batch's folder, write a name "
         "relative to it",
         name);
  for (const fs::path& part : path) {
    if (part == "..")
      fail(ErrorKind::Usage, "the output {} leads outside the batch's folder; leave out '..'",
           name);
    if (part.string().front() == '.')
      fail(ErrorKind::Usage, "the output {} is hidden; begin no part of it with a dot", name);
    if (part.string().size() > kMaxNameBytes)
      fail(ErrorKind::Usage, "the output {} has a part of more than {} bytes", name, kMaxNameBytes);
  }
}

bool OutputFolder::exists(const std::string& name) const {
  const fs::path path(name);
  const Descriptor folder = open_below(root_, path.parent_path(), false);
  if (folder.get() < 0) return false;
  struct stat status = {};
  return ::fstatat(folder.get(), path.filename().c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

fs::path OutputFolder::stage(int64_t job, const std::string& key) const {
  clear_stage(job);
  const fs::path below = fs::path(".sora") / "work" / std::to_string(job);
  open_below(root_, below, true);
  const fs::path sampled = latents_beside(below).parent_path();
  const Descriptor folder = open_below(root_, sampled, true);
  if (read_file_in(folder, kKey) != key) {
    ::unlinkat(folder.get(), kLatents, 0);
    ::fsync(folder.get());  // they are gone before the folder is said to be this job's
    if (!write_file_in(folder, kKey, key))
      fail(ErrorKind::Io, "{} cannot be written: {}", (root_ / sampled / kKey).string(),
           std::strerror(errno));
  }
  return root_ / below;
}

void OutputFolder::clear_stage(int64_t job) const {
  std::error_code ignored;
  fs::remove_all(root_ / ".sora" / "work" / std::to_string(job), ignored);
}

fs::path OutputFolder::latents_beside(const fs::path& stage) {
  return stage.parent_path() / (stage.filename().string() + ".sampled") / kLatents;
}

void OutputFolder::forget_latents(int64_t job) const {
  std::error_code ignored;
  fs::remove_all(latents_beside(root_ / ".sora" / "work" / std::to_string(job)).parent_path(),
                 ignored);
}

std::vector<JobFile> OutputFolder::staged_files(int64_t job, const Sha256OfFile& sha256) const {
  const fs::path stage = root_ / ".sora" / "work" / std::to_string(job);
  std::vector<JobFile> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(stage)) {
    if (!entry.is_regular_file()) continue;
    struct stat status = {};
    if (::stat(entry.path().c_str(), &status) != 0)
      fail(ErrorKind::Io, "{}: {}", entry.path().string(), std::strerror(errno));
    files.push_back({entry.path().lexically_relative(stage).generic_string(), status.st_size,
                     mtime_ns(status), sha256(entry.path())});
  }
  std::sort(files.begin(), files.end(),
            [](const JobFile& a, const JobFile& b) { return a.name < b.name; });
  if (files.empty()) fail(ErrorKind::Internal, "job {} left no file", job);
  return files;
}

std::vector<JobFile> OutputFolder::publish(int64_t job, const std::vector<JobFile>& files,
                                           bool force) const {
  const fs::path stage = fs::path(".sora") / "work" / std::to_string(job);
  std::vector<Naming> namings;
  for (const JobFile& file : files) {
    const Naming naming(root_, stage, file.name);
    if (!naming.is_staged()) continue;  // it has its name already
    naming.check(force);
    namings.push_back(naming);
  }
  size_t num_named = 0;
  try {
    for (; num_named < namings.size(); ++num_named) namings[num_named].give(force);
    for (const Naming& naming : namings) naming.put_on_disk();
  } catch (const Error&) {
    if (!force) {  // else what had the name before is gone
      while (num_named > 0) namings[--num_named].take_back();
    }
    throw;
  }
  std::vector<JobFile> published = files;
  for (JobFile& file : published) {
    struct stat status = {};
    if (::stat((root_ / file.name).c_str(), &status) != 0)
      fail(ErrorKind::Io, "{} is gone: {}", (root_ / file.name).string(), std::strerror(errno));
    file.mtime_ns = mtime_ns(status);
  }
  clear_stage(job);
  forget_latents(job);
  return published;
}

bool OutputFolder::takes_files() const {
  const fs::path probe = root_ / ".sora" / fmt::format("probe-{}", ::getpid());
  const Descriptor file(::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) return false;
  const std::string bytes(kProbeBytes, 'x');
  const bool written =
      ::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
      ::fsync(file.get()) == 0;
  ::unlink(probe.c_str());
  return written;
}

KeptFiles OutputFolder::compare(const std::vector<JobFile>& files,
                                const Sha256OfFile& sha256) const {
  KeptFiles kept{!files.empty(), ""};
  for (const JobFile& file : files) {
    if (!exists(file.name)) {
      kept.is_whole = false;
    } else if (!is_unaltered(root_ / file.name, file, sha256)) {
      return {false, file.name};
    }
  }
  return kept;
}

void OutputFolder::remove_unaltered(const std::vector<JobFile>& files,
                                    const Sha256OfFile& sha256) const {
  for (const JobFile& file : files) {
    std::error_code gone;
    if (is_unaltered(root_ / file.name, file, sha256)) fs::remove(root_ / file.name, gone);
  }
}

}  // namespace sora
