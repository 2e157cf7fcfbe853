// The configs of Wan's parts read off the shapes of their tensors, for files that come without a
// config: single files of ComfyUI and GGUF collections. What shapes cannot say (width of a head,
// normalisation of the latents, kind of activation) is that of the published models.
#pragma once

#include <nlohmann/json.hpp>

#include <vector>

#include "lib/models/wan/config.h"
#include "lib/tensor_io/checkpoint.h"

namespace sora {

// Each takes tensors in diffusers' names and returns the config.json that diffusers or transformers
// would have written. Throws Error(Input) where a tensor is missing that every such model has, or
// where the shapes are of no model this program knows.
nlohmann::json transformer_config_from_shapes(
    const Checkpoint& checkpoint);  // WanTransformer3DModel
// Adds to a transformer's config the control branch (VACE) of another file. `layers`: those it
// serves where that is known, else they lie at equal distances. Throws Error(Input) where the
// branch has another width, or blocks that are not those of so many layers.
void add_control_branch(const Checkpoint& control, const std::vector<int64_t>& layers,
                        WanTransformerConfig& transformer);
nlohmann::json vae_config_from_shapes(const Checkpoint& checkpoint);            // AutoencoderKLWan
nlohmann::json image_encoder_config_from_shapes(const Checkpoint& checkpoint);  // CLIPVisionModel

}  // namespace sora
