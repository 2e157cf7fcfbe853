// The way of frames from the canvas to the output: its rate, its size, its length, and the sources'
// own frames in their places, streamed.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>

#include "lib/media/resample.h"
#include "lib/pipelines/plan.h"

namespace sora {

using TakeFrames =
    std::function<void(const at::Tensor& frames_FHWC)>;  // u8 RGB, of the plan's output size

// Whether frames at another rate are made along the motion between drawn ones; else these are
// mixed.
bool moves_between_frames(const Plan& plan);

class OutputShaper {
 public:
  OutputShaper(const Plan& plan, const TakeFrames& take_frames);

  // Canvas frames in order, u8 [F,H,W,3].
  void push(const at::Tensor& frames_FHWC);
  // Exactly plan.output_frames have been handed over then. Throws Error(Numerical) when every pixel
  // of a clip that was drawn has one value, which no model means.
  void finish();

 private:
  void emit(at::Tensor frames_FHWC);
  at::Tensor to_output(const at::Tensor& frames_FHWC) const;
  at::Tensor with_pictures(at::Tensor frames_FHWC) const;
  at::Tensor with_own_frames(at::Tensor frames_FHWC);

  const Plan& plan_;
  const TakeFrames& take_frames_;
  std::optional<FrameRateConverter> rate_;
  std::optional<Resizer> resizer_;
  size_t placement_ = 0;                // of the layout's kept ones, the one that is being shown
  std::optional<SourceFrames> source_;  // its frames
  int64_t num_given_ = 0;
  int darkest_ = 0;
  int brightest_ = 0;
};

}  // namespace sora
