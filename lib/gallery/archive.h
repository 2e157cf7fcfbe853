// Archives as they are passed between people: zip files whose every entry is a regular file with a
// name of a list. Writing the same entries gives the same bytes; what is read is not trusted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sora {

// The file appears whole, in finish(), or not at all. All members throw Error(Io).
class ArchiveWriter {
 public:
  explicit ArchiveWriter(const std::filesystem::path& path);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  void add(const std::string& name, std::string_view bytes);
  void add_file(const std::string& name, const std::filesystem::path& path);
  void finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct ArchiveLimits {
  int64_t num_entries = 200;
  int64_t total_bytes = int64_t{8} << 30;
  int64_t expansion = 100;  // total bytes a byte of the archive
};

// Unpacks an archive into a folder, which must be empty. `place_of` says, from an entry's name,
// where below the folder it goes and how large it may be; names of the archive never reach the
// disk. Files are made new, links are never followed. Throws Error(Input) for an archive that is
// damaged, encrypted, larger than the limits, has an entry twice or one that is no regular file,
// and whatever place_of throws for a name; Error(NotFound | Io).
struct ArchivePlace {
  std::filesystem::path file;  // relative
  int64_t max_bytes = 0;
};
void unpack_archive(const std::filesystem::path& archive, const std::filesystem::path& folder,
                    const std::function<ArchivePlace(const std::string& name)>& place_of,
                    const ArchiveLimits& limits = {});

}  // namespace sora
