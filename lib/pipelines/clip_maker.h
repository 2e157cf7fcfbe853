// A planned request being carried out: texts are encoded once, then each seed gives a clip, window
// after window.
#pragma once

#include <memory>
#include <optional>

#include "lib/core/observer.h"
#include "lib/pipelines/canvas.h"
#include "lib/pipelines/conditioning.h"
#include "lib/pipelines/decode.h"
#include "lib/pipelines/output_shaper.h"
#include "lib/pipelines/plan.h"
#include "lib/pipelines/preview.h"
#include "lib/pipelines/reel.h"
#include "lib/schedulers/noise.h"
#include "lib/schedulers/scheduler.h"

namespace sora {

class ClipMaker {
 public:
  using TakeLatents = std::function<void(size_t window, const at::Tensor& latents_1CFHW)>;

  // One clip of the request.
  struct Making {
    uint64_t seed = 0;
    bool is_last = false;       // the transformer is let go before the last window is decoded
    bool only_latents = false;  // a clip of one window ends with them, and no frame is taken
    // Of a clip of one window: only the VAE is run; undefined otherwise.
    at::Tensor known_latents_1CFHW;
  };

  // `request`, `model` and `plan` must outlive the maker. Reads the sources, and no weights yet.
  // `preview`, where there is one, too.
  ClipMaker(const Request& request, const ModelInfo& model, const Plan& plan, Observer& observer,
            Preview* preview = nullptr);

  // Exactly plan.output_frames frames in chunks, and on the way each window's normalised latents
  // [1,C,F,H,W], f32, on the CPU. Throws Error(Input) for known latents of a clip of several
  // windows.
  void make(const Making& making, const TakeFrames& take_frames,
            const TakeLatents& take_latents = {});

 private:
  // The noise of a clip: what it begins from, and what edits add on the way.
  struct Noise {
    explicit Noise(uint64_t seed) : initial(seed), further(seed + 1) {}
    NoiseSource initial, further;
  };
  at::Tensor sample(const Canvas& window, Noise& noise, Observer& observer);
  void tell_of_cache() const;
  Canvas cut_window(const Window& window, const Reel& reel) const;
  void check_latents(const at::Tensor& latents_1CFHW) const;
  int64_t num_shown() const;  // of the canvas' frames
  void hand_over(Reel& reel, int64_t& next, OutputShaper& shaper) const;
  void make_circle(const Making& making, OutputShaper& shaper, const TakeLatents& take_latents);

  const Request& request_;
  const ModelInfo& model_;
  const Plan& plan_;
  Observer& observer_;
  Preview* preview_;
  Canvas canvas_;
  std::optional<EncodedTexts> texts_;  // made when they are first needed
  SourceEncoder source_encoder_;
  std::unique_ptr<Denoiser> denoiser_;
  std::optional<Decoder> decoder_;
  int num_cached_ = 0, num_reused_ = 0;  // steps of the clip so far
};

}  // namespace sora
