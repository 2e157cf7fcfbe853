// Models from a hub that speaks Hugging Face's HTTP, written into the cache that its Python tools
// use (layout: lib/tensor_io/hub_cache.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/core/observer.h"
#include "lib/tensor_io/hub_cache.h"

namespace sora {

struct PullOptions {
  // Globs over the paths in the repository; empty: what a model needs.
  std::vector<std::string> include;
  int connections = 4;  // files at a time
  bool offline = false;
};

struct PullResult {
  std::filesystem::path snapshot;
  std::string commit;
  int64_t num_files = 0;
  int64_t num_bytes = 0;         // of all of them
  int64_t num_bytes_loaded = 0;  // of those that were not there before
};

// The endpoint is HF_ENDPOINT or huggingface.co, the token HF_TOKEN or the one that `hf auth login`
// has stored; HF_HUB_OFFLINE forbids all of it. A file that was cut is taken up where it ended;
// each is checked against the hub's SHA-256 (or git's SHA-1) before it gets its name. The revision
// is entered when all files are there. Throws Error(NotFound) for a repository or revision that is
// not there, Error(Refused) where the hub wants a token or another one, or when offline, Error(Io)
// where the hub or the disk fails.
PullResult pull_model(const HubName& name, const PullOptions& options, Observer& observer,
                      const std::filesystem::path& cache = hub_cache_directory());

}  // namespace sora
