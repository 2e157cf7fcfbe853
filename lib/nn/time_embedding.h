// The sinusoidal embedding of a noise level (arXiv 2006.11239, appendix B; cosines before sines).
#pragma once

#include <ATen/core/Tensor.h>

namespace sora {

// timestep [N] -> f32 [N, width]: cos(t f_i) for i < width/2, then sin(t f_i), f_i =
// 10000^(-2i/width); an odd width ends in a zero.
at::Tensor sinusoidal_embedding(const at::Tensor& timestep_N, int64_t width);

}  // namespace sora
