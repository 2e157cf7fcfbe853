// The parts of a model under the names that listings and digests give them.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/models/model_info.h"

namespace sora {

// Those that the model has, by name.
inline std::vector<std::pair<std::string_view, std::filesystem::path>> named_parts(
    const ModelPaths& paths) {
  std::vector<std::pair<std::string_view, std::filesystem::path>> parts = {
      {"control", paths.control},
      {"control_2", paths.control_2},
      {"image_encoder", paths.image_encoder},
      {"text_encoder", paths.text_encoder},
      {"tokenizer", paths.tokenizer},
      {"transformer", paths.transformer},
      {"transformer_2", paths.transformer_2},
      {"tiny_vae", paths.tiny_vae},
      {"vae", paths.vae}};
  std::erase_if(parts, [](const auto& part) { return part.second.empty(); });
  return parts;
}

}  // namespace sora
