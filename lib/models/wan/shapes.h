// The configs of Wan's parts read off the shapes of their tensors, for files that come without a
// config: single files of ComfyUI and GGUF collections. What shapes cannot say (width of a head,
// normalisation of the latents, kind of activation) is that of the published models.
#pragma once

#include <nlohmann/json.hpp>

#include "lib/tensor_io/checkpoint.h"

namespace sora {

// Each takes tensors in diffusers' names and returns the config.json that diffusers or transformers
// would have written. Throws Error(Input) where a tensor is missing that every such model has, or
// where the shapes are of no model this program knows.
nlohmann::json transformer_config_from_shapes(
    const Checkpoint& checkpoint);                                    // WanTransformer3DModel
nlohmann::json vae_config_from_shapes(const Checkpoint& checkpoint);  // AutoencoderKLWan
nlohmann::json image_encoder_config_from_shapes(const Checkpoint& checkpoint);  // CLIPVisionModel

}  // namespace sora
