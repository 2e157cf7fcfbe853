// Small WebP pictures of videos, for pages that list them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "lib/core/rational.h"
#include "lib/media/resample.h"

namespace sora {

// From frames of this size to ones with no side longer than `side`; smaller ones stay as they are.
Resizer shrinking_resizer(int64_t width, int64_t height, int64_t side);

// u8 [F,H,W,3], an animation where there is more than one; a file that is there is replaced. Throws
// as VideoWriter does.
void write_webp(const std::string& path, const at::Tensor& frames_FHWC, Rational fps, int quality);

}  // namespace sora
