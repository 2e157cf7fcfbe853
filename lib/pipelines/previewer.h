// From unfinished latents to small pictures, many times faster than the VAE.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>

#include "lib/models/model_info.h"
#include "lib/pipelines/plan.h"

namespace sora {

// C latent channels, F H W latent frames, rows, columns
class Previewer {
 public:
  virtual ~Previewer();
  // Of normalised latents [1,C,F,H,W], f32: u8 RGB [f,h,w,3] of the same aspect, evenly over the
  // same time.
  virtual at::Tensor operator()(const at::Tensor& latents_1CFHW) const = 0;
};

// The quickest previewer that the model has: each method is a file and one row in previewer.cpp.
// `vae_fingerprint` tells this VAE from others (lib/provenance/digest.h); what has to be measured
// on the VAE is kept under that name in `cache_folder`, which may be empty. Throws Error(Input)
// where the VAE's weights do not fit.
std::unique_ptr<Previewer> make_previewer(const ModelInfo& model, const Plan& plan,
                                          const std::string& vae_fingerprint,
                                          const std::filesystem::path& cache_folder);

}  // namespace sora
