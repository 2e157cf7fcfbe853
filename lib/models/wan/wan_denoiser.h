// Wan's transformer, or its two experts, behind the Denoiser interface.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lib/models/denoiser.h"
#include "lib/models/wan/transformer.h"

namespace sora {

class WanDenoiser : public Denoiser {
 public:
  WanDenoiser(const ModelInfo& model, const Conditioning& conditioning, const LatentGrid& grid,
              at::ScalarType dtype);

  at::Tensor velocity(const at::Tensor& latents_1CFHW, double timestep) override;
  at::Tensor pin(const at::Tensor& latents_1CFHW) const override;

 private:
  // One expert is resident at a time: timesteps only fall, so the switch happens once.
  void use_expert(bool low_noise);
  double guidance_scale(bool low_noise) const;
  at::Tensor model_input(const at::Tensor& latents_1CFHW) const;
  at::Tensor model_timestep(double timestep) const;

  ModelInfo model_;
  Conditioning conditioning_;
  LatentGrid grid_;
  at::ScalarType dtype_;
  at::Tensor concatenated_;     // MaskChannels: mask and known latents, [1, temporal + C, F, H, W]
  at::Tensor free_mask_11FHW_;  // TokenTimesteps: 1 where free, 0 where known; undefined where all is free
  std::optional<bool> low_noise_resident_;
  std::shared_ptr<const WanTransformer> transformer_;
  std::vector<WanTextContext> contexts_;  // one of both prompts, or positive and then negative, or positive alone
};

}  // namespace sora
