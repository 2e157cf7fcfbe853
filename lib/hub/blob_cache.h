// The contents of a model's files in the cache, each under its digest, loaded whole and right or
// not at all.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <mutex>

#include "lib/core/observer.h"
#include "lib/hub/http_client.h"
#include "lib/hub/hub_api.h"

namespace sora {

// Blobs of one model, being filled by several threads.
class BlobCache {
 public:
  // MODEL/blobs and the folder of locks, which are made; `total` bytes are expected.
  BlobCache(const std::filesystem::path& model, const std::filesystem::path& locks,
            Observer& observer, int64_t total);

  std::filesystem::path path(const HubFile& file) const { return directory_ / file.etag; }
  int64_t num_bytes_loaded() const { return loaded_; }
  // Of what is not there of the file; the part that load() takes up is.
  int64_t num_bytes_missing(const HubFile& file) const;

  // Returns when the file is there and right: it waits for a process that loads the same, takes up
  // a part that is there, and checks the whole against the digest; what was there before with the
  // right size is not read again. Throws Error(Io) where the hub fails several times in a row or
  // the disk fails, Error(Input) where what comes is twice not what the digest says.
  void load(HttpClient& client, const HubFile& file);

 private:
  bool is_there(const HubFile& file) const;
  std::filesystem::path incomplete_path(const HubFile& file) const {
    return directory_ / (file.etag + ".incomplete");
  }
  void fetch(HttpClient& client, const HubFile& file, const std::filesystem::path& incomplete);
  void fetch_from(HttpClient& client, const HubFile& file, const std::filesystem::path& incomplete,
                  int64_t from);
  void advance(int64_t bytes);

  std::filesystem::path directory_, locks_;
  Observer& observer_;
  std::mutex mutex_;
  int64_t total_;
  int64_t done_ = 0;
  std::atomic<int64_t> loaded_ = 0;
};

}  // namespace sora
