// Brings frames to another size (zimg) and another frame rate.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "lib/core/rational.h"

namespace sora {

enum class Fit {
  Crop,     // fill the size, cut what stands over at both sides alike
  Pad,      // show all of it, black bars at both sides alike
  Stretch,  // change the aspect
};

// Resizes chunk after chunk of frames of one size. Lanczos in the coded values, as players and
// encoders do.
class Resizer {
 public:
  Resizer(int64_t source_width, int64_t source_height, int64_t width, int64_t height, Fit fit);
  ~Resizer();
  Resizer(Resizer&&) noexcept;
  Resizer& operator=(Resizer&&) noexcept;

  // uint8 [F,H,W,3] -> uint8 [F,height,width,3]. The same size comes back as it is.
  at::Tensor operator()(const at::Tensor& frames_FHWC) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Of one batch of frames [F,H,W,3] or one frame [H,W,3].
at::Tensor resize(const at::Tensor& frames, int64_t width, int64_t height, Fit fit);

enum class RateMethod {
  Blend,   // mix the two neighbours by distance in time
  Motion,  // move pixels along estimated motion (libavfilter's minterpolate)
};

// The number of frames at rate `to` that lasts as long as `num_frames` at rate `from`, rounded to
// nearest, at least 1.
int64_t resampled_frames(int64_t num_frames, Rational from, Rational to);

// Streaming change of frame rate: output frame k shows the time k / to. Frames that fall on a
// source frame are that frame's own pixels, whatever the method.
class FrameRateConverter {
 public:
  // Before each of the output frames `cuts` (rising) a scene ends: frames of both are never mixed.
  FrameRateConverter(Rational from, Rational to, RateMethod method, std::vector<int64_t> cuts = {});
  ~FrameRateConverter();
  FrameRateConverter(FrameRateConverter&&) noexcept;
  FrameRateConverter& operator=(FrameRateConverter&&) noexcept;

  // Takes uint8 [F,H,W,3]; gives the output frames that are now known, possibly none ([0,H,W,3]).
  at::Tensor push(const at::Tensor& frames_FHWC);
  // Gives the remaining frames; in all resampled_frames(frames pushed, from, to) have been given
  // then.
  at::Tensor finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sora
