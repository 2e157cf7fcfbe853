// Wan's transformer, or its two experts, behind the Denoiser interface.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "lib/models/denoiser.h"
#include "lib/models/wan/recorded_pass.h"
#include "lib/models/wan/transformer.h"

namespace sora {

// Up to this many tokens both guidance passes go through the transformer as one batch: small
// matrices gain from it, large ones only cost memory. A bound on tokens alone, so that a request
// gives the same bytes on every machine.
inline constexpr int64_t kMaxBatchedTokens = 4096;

class WanDenoiser : public Denoiser {
 public:
  WanDenoiser(const ModelInfo& model, const Arithmetic& arithmetic, at::Device device)
      : model_(model), arithmetic_(arithmetic), dtype_(arithmetic.dtype), device_(device) {}

  void set_conditioning(const Conditioning& conditioning, const LatentGrid& grid) override;
  void load(const NoiseStep& step) override { use_expert(is_low_noise(step.timestep)); }
  at::Tensor velocity(const at::Tensor& latents_1CFHW, const NoiseStep& step) override;
  at::Tensor velocity_of(const at::Tensor& latents_1CFHW, const NoiseStep& step,
                         Text text) override;
  at::Tensor pin(const at::Tensor& latents_1CFHW) const override;

 private:
  at::Tensor velocity_of(const at::Tensor& latents_1CFHW, const NoiseStep& step, Text text,
                         const RankGroup* ranks);
  // One pass of the transformer; `text` names what it is told, nothing: both_.
  at::Tensor pass(std::optional<Text> text, const at::Tensor& latents_BCFHW,
                  const at::Tensor& timestep, const WanTextContext& context,
                  const WanControl& control, const RankGroup* ranks);
  // One expert is resident at a time: within a window timesteps only fall, so the switch happens
  // once.
  void use_expert(bool low_noise);
  bool is_low_noise(double timestep) const;
  const WanTextContext& context(Text text);
  WanTextContext prepare_prompts() const;
  at::Tensor image_embeds() const;  // undefined where no picture is looked at
  double guidance_scale(bool low_noise) const;
  at::Tensor model_input(const at::Tensor& latents_1CFHW) const;
  at::Tensor model_timestep(double timestep) const;

  ModelInfo model_;
  Conditioning conditioning_;
  LatentGrid grid_;
  Arithmetic arithmetic_;
  at::ScalarType dtype_;
  at::Device device_;
  at::Tensor concatenated_;  // MaskChannels: mask and known latents, [1, temporal + C, F, H, W]
  WanControl control_;       // ControlBranch
  // TokenTimesteps: 1 where free, 0 where known; undefined where all is free.
  at::Tensor free_mask_11FHW_;
  std::optional<bool> low_noise_resident_;
  std::shared_ptr<const WanTransformer> transformer_;
  std::optional<WanTextContext> both_;       // prompt and negative prompt as one batch
  std::map<Text, WanTextContext> contexts_;  // made when they are first asked for
  // Placement::record_passes: of the resident expert, by what they are told.
  std::unique_ptr<GraphRecorder> recorder_;
  std::map<std::optional<Text>, RecordedPass> recorded_;
};

}  // namespace sora
