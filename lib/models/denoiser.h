// What the denoise loop asks of a model, whatever its family: the guided velocity at a noise level.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "lib/models/model_info.h"
#include "lib/nn/arithmetic.h"

namespace sora {

// B images, S image tokens, T text tokens, D width, C latent channels, F H W latent frames, height,
// width
struct TextCondition {
  at::Tensor embeds_TD;    // zero-padded to the model's sequence length
  int64_t num_tokens = 0;  // real ones at the beginning
};

// All that the model is told besides the noise level.
struct Conditioning {
  TextCondition positive;
  TextCondition negative;
  // Texts that hold at different times, instead of `positive`; empty where one text holds
  // everywhere. The bias [F, P] is added, for each latent frame, to the attention logits of each
  // text's tokens.
  std::vector<TextCondition> timed;
  at::Tensor timed_bias_FP;
  at::Tensor image_embeds_BSD;  // hidden states of the CLIP image encoder, one item an image;
                                // undefined without
  // Latents of the known frames, normalised, zero where unknown; undefined where no frame is known.
  at::Tensor known_latents_1CFHW;
  // Per video frame: 1 known, 0 free; [num_frames] f32, undefined where no frame is known.
  at::Tensor known_frames;
  // VACE: what the control branch is told (lib/pipelines/control.h), [1, 2 C + s^2, R + F, H, W]
  // with the R latent frames of reference pictures in front, as the latents have them too;
  // undefined for other models.
  at::Tensor control_1CFHW;
  double control_scale = 1.0;
  // Latents of the sources that frames follow down to a noise level, and that level for each latent
  // frame (f32 [F], 1: follows nothing); undefined where none is followed. The denoise loop sees to
  // it, not the model.
  at::Tensor followed_latents_1CFHW;
  at::Tensor follow_levels_F;
  std::optional<TextCondition> source;             // what the source shows, for edits
  double guidance_scale = 1.0;                     // 1: the negative pass is left out
  double guidance_scale_2 = 1.0;                   // of the low-noise expert
  double guidance_low = 0.0, guidance_high = 1.0;  // outside of these sigmas the scale is 1
};

// Where a step of the loop begins and ends.
struct NoiseStep {
  double timestep = 0;  // 0 to num_train_timesteps
  double sigma = 0;     // share of noise
  double next_sigma = 0;
};

enum class Text { Prompt, Negative, Source };

class Denoiser {
 public:
  virtual ~Denoiser();
  // What the velocities after this are conditioned on. Copies it.
  virtual void set_conditioning(const Conditioning&, const LatentGrid&) {}
  // Loads the weights that the velocity at this step needs, where that has not been done.
  virtual void load(const NoiseStep&) {}
  // latents_1CFHW f32; returns the guided velocity, same shape, f32.
  virtual at::Tensor velocity(const at::Tensor& latents_1CFHW, const NoiseStep& step) = 0;
  // The velocity that one text alone gives.
  virtual at::Tensor velocity_of(const at::Tensor& latents_1CFHW, const NoiseStep& step, Text) {
    return velocity(latents_1CFHW, step);
  }
  // The latents with the known ones put back, for families that keep them clean; others return them
  // as they are.
  virtual at::Tensor pin(const at::Tensor& latents_1CFHW) const { return latents_1CFHW; }
};

// Weights are loaded by load(), or when the first velocity is asked for. `arithmetic` is that of
// the transformer, `device` where it and the latents are; a conditioning may come from any. Loading
// throws Error(Input) where the weights do not fit the configs.
std::unique_ptr<Denoiser> make_denoiser(const ModelInfo& model, const Arithmetic& arithmetic,
                                        at::Device device = at::kCPU);

}  // namespace sora
