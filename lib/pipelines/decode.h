// From latents to the frames that go into the file, streamed: a chunk of a few frames at a time passes through the
// decoder, the splice of known pixels, the frame rate and the size.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "lib/core/observer.h"
#include "lib/models/wan/vae.h"
#include "lib/pipelines/canvas.h"
#include "lib/pipelines/plan.h"

namespace sora {

using TakeFrames = std::function<void(const at::Tensor& frames_FHWC)>;  // u8 RGB, of the plan's output size

// Whether frames of this size are decoded in tiles whatever the memory.
bool tiles_frames(const Plan& plan);

// The VAE's decoder in the plan's type. Throws Error(Input) where the weights do not fit.
WanVae load_decoder(const ModelInfo& model, const Plan& plan);

// Hands over exactly plan.output_frames frames. Throws Error(Numerical) when every pixel of the clip has one value,
// which no model means, Error(Cancelled) when asked to stop.
void decode(const WanVae& vae, const at::Tensor& latents_1CFHW, const Plan& plan, const Canvas& canvas,
            const TakeFrames& take_frames, Observer& observer);

}  // namespace sora
