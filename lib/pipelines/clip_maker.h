// A planned request being carried out: text and known frames are encoded once, then each seed gives a clip.
#pragma once

#include <memory>
#include <optional>

#include "lib/core/observer.h"
#include "lib/pipelines/canvas.h"
#include "lib/pipelines/conditioning.h"
#include "lib/pipelines/decode.h"
#include "lib/pipelines/plan.h"

namespace sora {

class ClipMaker {
 public:
  // `request`, `model` and `plan` must outlive the maker. Reads the sources, and no weights yet.
  ClipMaker(const Request& request, const ModelInfo& model, const Plan& plan, Observer& observer);

  // The first call encodes text and known frames. Noise of this seed through the denoise loop: normalised latents [1,C,F,H,W], f32.
  at::Tensor sample(uint64_t seed);
  // The frames of such latents, in chunks; see decode.h.
  void decode(const at::Tensor& latents_1CFHW, const TakeFrames& take_frames);
  // Lets the transformer go; sample() would load it again.
  void drop_denoiser() { denoiser_.reset(); }

 private:
  const Request& request_;
  const ModelInfo& model_;
  const Plan& plan_;
  Observer& observer_;
  Canvas canvas_;
  std::optional<Conditioning> conditioning_;
  std::unique_ptr<Denoiser> denoiser_;
  std::optional<WanVae> decoder_;
};

// The canvas of whatever operation the request holds.
Canvas make_canvas(const Request& request, const Plan& plan, const ModelInfo& model);

}  // namespace sora
