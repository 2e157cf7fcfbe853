// SHA-256 digests of files, and the fingerprint that tells one set of weights from another.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/observer.h"

namespace sora {

// 64 lowercase hexadecimal digits.
std::string sha256_of_bytes(std::string_view bytes);

// Reads the file in pieces. Throws Error(NotFound) where there is none, Error(Input) where it is no
// regular file, Error(Io) where it cannot be read, Error(Cancelled) when asked to stop.
std::string sha256_of_file(const std::filesystem::path& path, const Observer& observer = {});

// What git calls a file of this content: SHA-1 over "blob SIZE\\0" and the bytes. Throws as above.
std::string git_sha1_of_file(const std::filesystem::path& path, const Observer& observer = {});

// Digests of files once read, so that gigabytes are hashed once. An entry holds for one path, size
// and time of last change. A file changed within the last seconds is not entered: a second change
// might leave both as they are. A cache that cannot be written is no error, it is only slow.
class DigestCache {
 public:
  explicit DigestCache(std::filesystem::path directory = default_directory());

  // $SORA_CACHE/digests, $XDG_CACHE_HOME/sora/digests or ~/.cache/sora/digests; empty, which caches
  // nothing, where none of the three is set.
  static std::filesystem::path default_directory();

  // As sha256_of_file.
  std::string sha256(const std::filesystem::path& path, const Observer& observer = {}) const;

 private:
  std::filesystem::path directory_;
};

struct FileDigest {
  std::string name;  // relative to the model, with '/'
  int64_t size = 0;  // bytes
  std::string sha256;
};

// The weights, configs and vocabularies of a model, sorted by name: of a directory every file with
// such an extension, in subdirectories too and through links, hidden ones left out; or the one file
// that is the model. Throws Error(NotFound) where there is none of them, and as sha256_of_file.
std::vector<FileDigest> digest_model(const std::filesystem::path& model, const DigestCache& cache,
                                     const Observer& observer = {});

// SHA-256 over a line for each file, "<sha256> <size> <name>\n", in the order given. Where the
// files lie has no part in it.
std::string fingerprint(const std::vector<FileDigest>& files);

}  // namespace sora
