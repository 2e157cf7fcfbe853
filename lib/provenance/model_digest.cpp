#include "lib/provenance/model_digest.h"

#include <utility>

#include "lib/models/named_parts.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

bool lies_in(const fs::path& part, const fs::path& directory) {
  const fs::path relative = part.lexically_relative(directory);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

std::vector<FileDigest> digest_model(const ModelInfo& model, const DigestCache& cache,
                                     const Observer& observer) {
  const auto parts = named_parts(model.parts);
  bool is_whole = fs::is_directory(model.path);
  for (const auto& [name, path] : parts) is_whole = is_whole && lies_in(path, model.path);
  std::vector<FileDigest> digests;
  for (const LoraChoice& lora : model.loras) {
    for (FileDigest& digest : digest_model(fs::path(lora.path), cache, observer)) {
      digest.name = "lora/" + digest.name;
      digests.push_back(std::move(digest));
    }
  }
  if (is_whole) {
    for (FileDigest& digest : digest_model(model.path, cache, observer))
      digests.push_back(std::move(digest));
    return digests;
  }
  for (const auto& [name, path] : parts) {
    for (FileDigest& digest : digest_model(path, cache, observer)) {
      digest.name = std::string(name) + "/" + digest.name;
      digests.push_back(std::move(digest));
    }
  }
  return digests;
}

}  // namespace sora
