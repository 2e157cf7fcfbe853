// How a picture must be turned to stand upright, and the shape of its pixels.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "lib/media/media_input.h"

namespace sora {

// First transposed, then mirrored.
struct Orientation {
  bool transposed = false;
  bool mirrored_x = false;
  bool mirrored_y = false;
};

// From the stream's display matrix, where angles off the four right ones count as upright, or from
// the Exif tag of a JPEG. Throws Error(Input) for a JPEG with broken markers or without an end.
Orientation orientation_of(MediaInput& input, const AVStream& stream);

// Of Exif's tag, 1 to 8; anything else is upright.
Orientation orientation_of_exif(int value);

at::Tensor apply(const Orientation& orientation, const at::Tensor& picture_HWC);

// Degrees clockwise; a mirror image counts as its turn.
int degrees(const Orientation& orientation);

// The width at which pixels of this aspect would be square; unlikely aspects count as square, and
// so do those that are off by a scaler's rounding.
int64_t square_pixel_width(int64_t width, AVRational sample_aspect);

}  // namespace sora
