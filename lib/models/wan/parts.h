// The parts of a Wan model opened in whatever form they are stored: a component directory of
// diffusers, or a single file with original or diffusers' names.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "lib/core/config_reader.h"
#include "lib/models/wan/config.h"
#include "lib/tensor_io/checkpoint.h"

namespace sora {

enum class WanPart { Transformer, Vae, ImageEncoder };

// The part's config in diffusers' terms: config.json of a directory; of a file the "config" entry
// of its metadata or, as most have none, what its shapes say. Throws Error(NotFound | Input).
ConfigReader read_config(WanPart part, const std::filesystem::path& path);

// Its tensors, in diffusers' names.
std::shared_ptr<const Checkpoint> open_weights(WanPart part, const std::filesystem::path& path);

// A control branch (VACE) in a file of its own: its tensors in diffusers' names, and what the
// file's metadata say of the transformer it belongs to, null where they say nothing.
struct ControlPart {
  Checkpoint weights;
  nlohmann::json config;
};
ControlPart open_control(const std::filesystem::path& path);

// A transformer, and the file its control branch (VACE) lies in where that is another; empty: it
// has none, or in its own file.
struct TransformerFiles {
  std::filesystem::path transformer;
  std::filesystem::path control;
};

// Its config with that branch, and the tensors of both files. Throws Error(Input) where the branch
// is not for this transformer, Error(Usage) where the transformer has one already.
WanTransformerConfig read_transformer_config(const TransformerFiles& files);
std::shared_ptr<const Checkpoint> open_transformer(const TransformerFiles& files);

}  // namespace sora
