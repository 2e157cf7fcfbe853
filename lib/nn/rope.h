// Rotary position embedding over frames, height and width (RoFormer, arXiv 2104.09864; split over
// three axes as in Wan 2.1, arXiv 2503.20314).
#pragma once

#include <array>
#include <cstdint>

#include "kernels/rms_norm.h"

namespace sora {

using kernels::Rotation;

// Tokens on a grid of frames x height x width, in that order. Of a head's K numbers the first K - 4
// floor(K/6) turn with the frame, the next 2 floor(K/6) with the row, the last 2 floor(K/6) with
// the column; pair i of an axis of n numbers turns by position * 10000^(-2i/n). Angles in f64,
// cosine and sine rounded to f32: [L, K/2].
Rotation rotation_3d(const std::array<int64_t, 3>& grid, int64_t head_width);

}  // namespace sora
