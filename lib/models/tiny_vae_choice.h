// Which tiny decoder (TAEHV) stands in for a model's VAE.
#pragma once

#include "lib/core/model_files.h"
#include "lib/models/model_info.h"

namespace sora {

// Sets model.parts.tiny_vae to `files.tiny_vae` or, with `files.draft`, to the one that fits the
// model's latents in its folders vae_approx and vae, in those of `files.models_dir`, or beside the
// model. Throws Error(NotFound) saying where was looked, Error(Input) where the file named is made
// for other latents.
void choose_tiny_vae(const ModelFiles& files, ModelInfo& model);

}  // namespace sora
