// From latents to frames, streamed: a chunk of a few frames at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "lib/pipelines/plan.h"

namespace sora {

// Latent frames that a decoder is led through before a circle begins, beside one after its end.
// Mobius (arXiv 2502.20307) takes 3, but the first frame, which a causal decoder draws from itself
// alone, still shows in the colours well after that.
inline constexpr int64_t kCircleLead = 12;

// Whether frames of this size are decoded in tiles whatever the memory.
bool tiles_frames(const Plan& plan);

// Hands over [1,3,f,H,W] in [-1,1] in order: the first frame, then `temporal` at a time.
struct Decoder {
  using TakeChunk = std::function<void(const at::Tensor& frames_1CFHW)>;
  std::function<void(const at::Tensor& latents_1CFHW, const TakeChunk& take_chunk)> decode;
  int64_t temporal = 4;
};

// The model's tiny decoder where one was chosen, else the VAE's, in the plan's type. Throws
// Error(Input) where the weights do not fit.
Decoder load_decoder(const ModelInfo& model, const Plan& plan);

// Hands over all frames of the latents, u8 RGB [F,H,W,3] of the canvas' size, in order, on the CPU.
void decode(const Decoder& decoder, const at::Tensor& latents_1CFHW,
            const std::function<void(const at::Tensor& frames_FHWC)>& take_frames);

// The same of a circle of latent frames: the decoder is causal, so it is led around the circle
// first, and those frames are left out. Hands over `temporal` frames for each latent frame,
// beginning in the middle of the first.
void decode_circle(const Decoder& decoder, const at::Tensor& latents_1CFHW,
                   const std::function<void(const at::Tensor& frames_FHWC)>& take_frames);

}  // namespace sora
