#include "lib/provenance/model_digest.h"

#include <utility>

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
  const std::pair<const char*, const fs::path&> parts[] = {
      {"control", model.parts.control},
      {"control_2", model.parts.control_2},
      {"image_encoder", model.parts.image_encoder},
      {"text_encoder", model.parts.text_encoder},
      {"tokenizer", model.parts.tokenizer},
      {"transformer", model.parts.transformer},
      {"transformer_2", model.parts.transformer_2},
      {"tiny_vae", model.parts.tiny_vae},
      {"vae", model.parts.vae}};
  bool is_whole = fs::is_directory(model.path);
  for (const auto& [name, path] : parts)
    is_whole = is_whole && (path.empty() || lies_in(path, model.path));
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
    if (path.empty()) continue;
    for (FileDigest& digest : digest_model(path, cache, observer)) {
      digest.name = std::string(name) + "/" + digest.name;
      digests.push_back(std::move(digest));
    }
  }
  return digests;
}

}  // namespace sora
