// Decoded video: what the reader gives, what operations cut and join, what the writer takes.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "lib/core/rational.h"

namespace sora {

// F frames, H height, W width. Pixels are 8-bit sRGB-coded R, G, B of the whole range 0 to 255.
struct Clip {
  at::Tensor frames_FHWC;  // uint8, contiguous, on the CPU, last dimension 3
  Rational fps;

  int64_t num_frames() const { return frames_FHWC.size(0); }
  int64_t height() const { return frames_FHWC.size(1); }
  int64_t width() const { return frames_FHWC.size(2); }
  double duration_s() const { return static_cast<double>(num_frames()) / fps.value(); }
};

}  // namespace sora
