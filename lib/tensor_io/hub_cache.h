// Models that Hugging Face's tools have downloaded before, found by name and without network
// (https://huggingface.co/docs/huggingface_hub/guides/manage-cache):
//   CACHE/models--ORG--NAME/refs/main              the commit a branch or tag stands at
//   CACHE/models--ORG--NAME/snapshots/COMMIT/...   its files, links into blobs
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sora {

struct HubName {
  std::string repository;         // "org/name"
  std::string revision = "main";  // a branch, tag or commit
};

// "org/name" or "org/name@revision"; empty when `text` cannot be one.
std::optional<HubName> parse_hub_name(std::string_view text);

// One file of a repository: "org/name[@revision]/path/in/it". Empty where the text is none.
struct HubFileName {
  HubName repository;
  std::string file;
};
std::optional<HubFileName> parse_hub_file_name(std::string_view text);

// Where the cache is: HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub or
// ~/.cache/huggingface/hub.
std::filesystem::path hub_cache_directory();

// The snapshot directory of a model. Throws Error(NotFound) naming the model, the cache, the
// revisions that are there and the command that downloads it.
std::filesystem::path find_in_hub_cache(const HubName& name,
                                        const std::filesystem::path& cache = hub_cache_directory());

}  // namespace sora
