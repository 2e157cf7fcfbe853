// Known pixels come out as the source's own, not as the VAE gives them back.
#pragma once

#include <ATen/core/Tensor.h>

#include "lib/pipelines/canvas.h"

namespace sora {

// `frames_FHWC` (u8) are frames [start, start + F) of the canvas; the known ones among them are overwritten in place.
void splice_known(const Canvas& canvas, int64_t start, at::Tensor& frames_FHWC);

}  // namespace sora
