// The writer takes chunks while the next one is being decoded; nothing here holds more than a chunk of frames.
#include "lib/pipelines/decode.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "lib/core/error.h"
#include "lib/media/resample.h"
#include "lib/models/wan/parts.h"
#include "lib/pipelines/splice.h"

namespace sora {
namespace {

// Frames of more pixels than this are decoded in tiles, which bounds the memory and leaves smaller ones seamless.
constexpr int64_t kMaxUntiledPixels = 1280 * 720;

// [1,3,F,H,W] in [-1,1] -> u8 [F,H,W,3], as diffusers' VideoProcessor rounds.
at::Tensor to_frames(const at::Tensor& chunk_1CFHW) {
  return chunk_1CFHW[0]
      .permute({1, 2, 3, 0})
      .to(at::kFloat)
      .mul(0.5)
      .add_(0.5)
      .clamp_(0, 1)
      .mul_(255)
      .round_()
      .to(at::kByte)
      .contiguous();
}

at::Tensor cut_middle(const at::Tensor& frames_FHWC, Size size) {
  const int64_t top = (frames_FHWC.size(1) - size.height) / 2;
  const int64_t left = (frames_FHWC.size(2) - size.width) / 2;
  return frames_FHWC.slice(1, top, top + size.height).slice(2, left, left + size.width).contiguous();
}

// The way of a chunk from the canvas to the output's rate, size and length.
class OutputShaper {
 public:
  OutputShaper(const Plan& plan, const TakeFrames& take_frames) : plan_(plan), take_frames_(take_frames) {
    if (!(plan.canvas_fps == plan.output_fps)) {
      rate_.emplace(plan.canvas_fps, plan.output_fps, RateMethod::Blend);
    }
    if (plan.scaled) {
      resizer_.emplace(plan.canvas_size.width, plan.canvas_size.height, plan.output_size.width, plan.output_size.height,
                       Fit::Crop);
    }
  }

  void push(const at::Tensor& frames_FHWC) { emit(rate_ ? rate_->push(frames_FHWC) : frames_FHWC); }

  void finish() {
    if (rate_) emit(rate_->finish());
    if (num_given_ != plan_.output_frames) {
      fail(ErrorKind::Internal, "{} frames came out of the decoder, {} were planned", num_given_, plan_.output_frames);
    }
    if (darkest_ == brightest_) {
      fail(ErrorKind::Numerical,
           "every pixel of the clip has the value {}; the weights or the number type are at fault, try --dtype f32",
           darkest_);
    }
  }

 private:
  void emit(at::Tensor frames_FHWC) {
    const int64_t wanted = std::min(frames_FHWC.size(0), plan_.output_frames - num_given_);
    if (wanted <= 0) return;
    frames_FHWC = frames_FHWC.slice(0, 0, wanted);
    frames_FHWC = resizer_ ? (*resizer_)(frames_FHWC.contiguous()) : cut_middle(frames_FHWC, plan_.output_size);
    if (darkest_ == brightest_ || num_given_ == 0) {
      const auto [low, high] = frames_FHWC.aminmax();
      darkest_ = num_given_ == 0 ? low.item<int>() : std::min(darkest_, low.item<int>());
      brightest_ = num_given_ == 0 ? high.item<int>() : std::max(brightest_, high.item<int>());
    }
    num_given_ += wanted;
    take_frames_(frames_FHWC);
  }

  const Plan& plan_;
  const TakeFrames& take_frames_;
  std::optional<FrameRateConverter> rate_;
  std::optional<Resizer> resizer_;
  int64_t num_given_ = 0;
  int darkest_ = 0;
  int brightest_ = 0;
};

}  // namespace

bool tiles_frames(const Plan& plan) {
  return plan.canvas_size.width * plan.canvas_size.height > kMaxUntiledPixels;
}

WanVae load_decoder(const ModelInfo& model, const Plan& plan) {
  WanVae vae = *model.part<WanVae>("decoder " + plan.dtype, [&] {
    const Weights weights(open_weights(WanPart::Vae, model.parts.vae), plan.dtype == "bf16" ? at::kBFloat16 : at::kFloat);
    return std::make_shared<const WanVae>(model.vae, weights, WanVaeParts::Decoder);
  });
  if (tiles_frames(plan) || model.placement.tile_frames) vae.set_tiling(WanVaeTiling{});
  return vae;
}

void decode(const WanVae& vae, const at::Tensor& latents_1CFHW, const Plan& plan, const Canvas& canvas,
            const TakeFrames& take_frames, Observer& observer) {
  OutputShaper shaper(plan, take_frames);
  int64_t num_decoded = 0;
  observer.begin(Phase::Decode, plan.canvas_frames);
  vae.decode(latents_1CFHW, [&](const at::Tensor& chunk_1CFHW) {
    check_stop(observer);
    at::Tensor frames_FHWC = to_frames(chunk_1CFHW);
    splice_known(canvas, num_decoded, frames_FHWC);
    num_decoded += frames_FHWC.size(0);
    shaper.push(frames_FHWC);
    observer.advance(Phase::Decode, num_decoded);
  });
  shaper.finish();
}

}  // namespace sora
