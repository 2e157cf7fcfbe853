// Takes away a picture that moves as a whole, as under a camera that pans, zooms or shakes: a
// mosaic of all frames, each moved back by the global motion (Irani and Anandan, "Video indexing
// based on mosaic representations", 1998), holds the picture, while a pattern that stays where it
// is, or changes its sign, averages out of it. What a frame has beside the mosaic is the pattern
// and the encoder's noise.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace sora {

// `details_HW` int8 of each frame, all of one size; as many of the same kind, less the mosaic.
// Empty where the picture stands, is too small, or moves so far that the mosaic were too large.
// Made without a look at the key.
std::vector<at::Tensor> without_moving_picture(const std::vector<at::Tensor>& details_HW);

}  // namespace sora
