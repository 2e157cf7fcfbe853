// The zip format by libarchive. Entries are stored, not deflated: clips and pictures are compressed
// already, and a stored entry is the same bytes whatever the version of zlib. Neither times nor
// owners are written.
//
// Unpacking does not use libarchive's own writing to disk, whose checks of names
// (ARCHIVE_EXTRACT_SECURE_*) have to be asked for one by one: files are made here, under names that
// come from place_of(), with O_EXCL and O_NOFOLLOW.
#include "lib/gallery/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/gallery/html.h"
#include "lib/tensor_io/atomic_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlock = 1 << 16;
constexpr size_t kMaxShownName = 120;

struct FreeRead {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
struct FreeWrite {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

// A name of the archive as it may be shown.
std::string shown(const std::string& name) {
  if (!is_valid_utf8(name)) return "a name that is no text";
  return "'" + visible_text(utf8_prefix(name, kMaxShownName)) + "'";
}

class NewFile {
 public:
  explicit NewFile(const fs::path& path) : path_(path) {
    fs::create_directories(path.parent_path());
    fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd_ < 0) fail_with_errno();
  }
  ~NewFile() {
    if (fd_ >= 0) close(fd_);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(const char* data, size_t size) {
    while (size > 0) {
      const ssize_t written = ::write(fd_, data, size);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_with_errno();
      data += written;
      size -= static_cast<size_t>(written);
    }
  }
  void finish() {
    if (fsync(fd_) != 0) fail_with_errno();
  }

 private:
  [[noreturn]] void fail_with_errno() const {
    fail(ErrorKind::Io, "{} cannot be written: {}", path_.string(), std::strerror(errno));
  }

  fs::path path_;
  int fd_ = -1;
};

}  // namespace

class ArchiveWriter::Impl {
 public:
  explicit Impl(const fs::path& path) : path_(path), file_(path), writer_(archive_write_new()) {
    check(archive_write_set_format_zip(writer_.get()));
    check(archive_write_set_format_option(writer_.get(), "zip", "compression", "store"));
    check(archive_write_set_bytes_per_block(writer_.get(), 0));
    check(archive_write_open(writer_.get(), this, nullptr, &Impl::take, nullptr));
  }

  void begin(const std::string& name, int64_t size) {
    const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_size(entry.get(), size);
    check(archive_write_header(writer_.get(), entry.get()));
  }

  void write(std::string_view bytes) {
    if (archive_write_data(writer_.get(), bytes.data(), bytes.size()) !=
        static_cast<la_ssize_t>(bytes.size()))
      fail_now();
  }

  void finish() {
    check(archive_write_close(writer_.get()));
    file_.commit();
  }

 private:
  static la_ssize_t take(archive* writer, void* self, const void* data, size_t size) {
    try {
      static_cast<Impl*>(self)->file_.write(data, size);
      return static_cast<la_ssize_t>(size);
    } catch (const std::exception& error) {
      archive_set_error(writer, EIO, "%s", error.what());
      return -1;
    }
  }
  void check(int result) const {
    if (result < ARCHIVE_WARN) fail_now();
  }
  [[noreturn]] void fail_now() const {
    const char* reason = archive_error_string(writer_.get());
    fail(ErrorKind::Io, "{} cannot be written: {}", path_.string(),
         reason ? reason : "unknown reason");
  }

  fs::path path_;
  AtomicFile file_;
  std::unique_ptr<archive, FreeWrite> writer_;
};

ArchiveWriter::ArchiveWriter(const fs::path& path) : impl_(std::make_unique<Impl>(path)) {}
ArchiveWriter::~ArchiveWriter() = default;

void ArchiveWriter::add(const std::string& name, std::string_view bytes) {
  impl_->begin(name, static_cast<int64_t>(bytes.size()));
  impl_->write(bytes);
}

void ArchiveWriter::add_file(const std::string& name, const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (!file || error) fail(ErrorKind::Io, "{} cannot be read", path.string());
  impl_->begin(name, static_cast<int64_t>(size));
  std::vector<char> block(kBlock);
  for (uintmax_t left = size; left > 0;) {
    file.read(block.data(), static_cast<std::streamsize>(std::min<uintmax_t>(left, block.size())));
    if (file.gcount() <= 0)
      fail(ErrorKind::Io, "{} became shorter while it was packed", path.string());
    impl_->write({block.data(), static_cast<size_t>(file.gcount())});
    left -= static_cast<uintmax_t>(file.gcount());
  }
}

void ArchiveWriter::finish() { impl_->finish(); }

void unpack_archive(const fs::path& path, const fs::path& folder,
                    const std::function<ArchivePlace(const std::string& name)>& place_of,
                    const ArchiveLimits& limits) {
  std::error_code error;
  if (!fs::exists(path, error)) fail(ErrorKind::NotFound, "there is no file {}", path.string());
  if (!fs::is_regular_file(path, error)) fail(ErrorKind::Input, "{} is no file", path.string());
  const auto packed_bytes = static_cast<int64_t>(fs::file_size(path));

  const std::unique_ptr<archive, FreeRead> reader(archive_read_new());
  const auto refuse = [&](const std::string& what) {
    fail(ErrorKind::Input, "{} {}", path.string(), what);
  };
  const auto damaged = [&] {
    const char* reason = archive_error_string(reader.get());
    refuse(fmt::format("is no sound archive of sora: {}",
                       reason ? visible_text(reason) : "unknown reason"));
  };
  if (archive_read_support_format_zip_seekable(reader.get()) != ARCHIVE_OK ||
      archive_read_open_filename(reader.get(), path.c_str(), kBlock) != ARCHIVE_OK) {
    damaged();
  }
  std::set<std::string> names;
  std::set<fs::path> places;
  int64_t total = 0;
  std::vector<char> block(kBlock);
  for (;;) {
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(reader.get(), &entry);
    if (result == ARCHIVE_EOF) break;
    if (result != ARCHIVE_OK) damaged();
    const char* raw = archive_entry_pathname(entry);
    const std::string name = raw ? raw : "";
    if (static_cast<int64_t>(names.size()) >= limits.num_entries)
      refuse(fmt::format("holds more than {} files", limits.num_entries));
    if (!names.insert(name).second) refuse(fmt::format("holds {} twice", shown(name)));
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_symlink(entry) ||
        archive_entry_hardlink(entry)) {
      refuse(fmt::format("holds {}, which is no regular file", shown(name)));
    }
    if (archive_entry_is_encrypted(entry))
      refuse(fmt::format("holds {}, which is encrypted", shown(name)));
    const ArchivePlace place = place_of(name);
    if (!places.insert(place.file).second)
      refuse(fmt::format("holds two files for {}", place.file.string()));
    NewFile file(folder / place.file);
    int64_t size = 0;
    for (;;) {
      const la_ssize_t got = archive_read_data(reader.get(), block.data(), block.size());
      if (got < 0) damaged();
      if (got == 0) break;
      size += got;
      total += got;
      if (size > place.max_bytes)
        refuse(fmt::format("holds {} of more than {} bytes", shown(name), place.max_bytes));
      if (total > limits.total_bytes)
        refuse(fmt::format("unpacks to more than {} bytes", limits.total_bytes));
      if (total > static_cast<int64_t>(kBlock) + limits.expansion * packed_bytes) {
        refuse(fmt::format("unpacks to more than {} times its size", limits.expansion));
      }
      file.write(block.data(), static_cast<size_t>(got));
    }
    file.finish();
  }
  if (names.empty()) refuse("is no archive of sora");
}

}  // namespace sora
