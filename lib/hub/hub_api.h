// What a hub tells of a model: GET /api/models/REPO/revision/REV lists the files of a commit, HEAD
// /REPO/resolve/COMMIT/FILE gives a file's size and digest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/core/observer.h"
#include "lib/hub/http_client.h"
#include "lib/tensor_io/hub_cache.h"

namespace sora {

// HF_TOKEN, or the token that `hf auth login` has stored; empty: none.
std::string hub_token();

struct HubListing {
  std::string commit;
  std::vector<std::string> paths;      // that are wanted
  std::vector<std::string> all_paths;  // of the repository
};

constexpr size_t kSha256Digits = 64, kGitDigits = 40;  // of an etag

struct HubFile {
  std::string path;  // in the repository
  // Its name in the cache: the SHA-256 of a large file (its storage's ETag, X-Linked-Etag), git's
  // SHA-1 of others, in hexadecimal digits.
  std::string etag;
  int64_t size = 0;  // bytes
  std::string url;   // of the file, perhaps redirected to its storage
};

// `include`: globs of the paths that are wanted; empty: what a model needs. Both throw
// Error(NotFound) for a repository, revision or file that is not there, Error(Refused) where the
// hub wants a token or another one, Error(Input) for an answer that is none, and Error(Io) where
// the hub fails several times in a row.
HubListing list_hub_files(HttpClient& client, const HubName& name,
                          const std::vector<std::string>& include, const Observer& observer);
HubFile describe_hub_file(HttpClient& client, const HubName& name, const std::string& commit,
                          const std::string& path, const Observer& observer);

}  // namespace sora
