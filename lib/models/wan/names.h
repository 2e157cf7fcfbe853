// The names that Wan's own code, ComfyUI and GGUF collections give to the tensors of a model,
// turned into diffusers'. Original modules: transformer wan/modules/model.py, VAE
// wan/modules/vae.py and vae2_2.py of Wan 2.1 and 2.2.
#pragma once

#include <string>
#include <string_view>

#include "lib/tensor_io/checkpoint.h"

namespace sora {

// A tensor, or a module in front of one, of the transformer without any prefix:
// "blocks.3.self_attn.q.weight" -> "blocks.3.attn1.to_q.weight". diffusers' own names and unknown
// ones stay as they are.
std::string diffusers_transformer_name(std::string_view original);

// The inverse, for the names that trainers have derived from the original's.
std::string original_transformer_name(std::string_view diffusers);

// The tensors of one part in diffusers' names. The file may hold other parts too, and have prefixes
// such as "model.diffusion_model.". Throws Error(Input) where it does not hold the part.
Checkpoint with_transformer_names(const Checkpoint& checkpoint);
// Of the control branch (VACE) alone, whether the file holds the rest of a transformer or not.
Checkpoint with_control_names(const Checkpoint& checkpoint);
Checkpoint with_vae_names(const Checkpoint& checkpoint);
Checkpoint with_image_encoder_names(const Checkpoint& checkpoint);

}  // namespace sora
