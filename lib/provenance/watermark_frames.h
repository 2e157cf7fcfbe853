// How the detector adds up frames: all alike, for a pattern that stays, or by how they differ, for
// one whose sign changes over a picture that stands still.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace sora {

// Weights of each frame, one set after another. The first are all 1; the others are the greatest
// principal components of the frames in time, which sum to 0 and so cancel what stands still, and
// whose sign says nothing. They are made without a look at the key. `details_HW` int8 of each
// frame, all of one size.
std::vector<std::vector<float>> frame_weights(const std::vector<at::Tensor>& details_HW);

}  // namespace sora
