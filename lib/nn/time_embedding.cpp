#include "lib/nn/time_embedding.h"

#include <ATen/ATen.h>

#include <cmath>

namespace sora {

at::Tensor sinusoidal_embedding(const at::Tensor& timestep_N, int64_t width) {
  constexpr double kLongestPeriod = 10000.0;
  const int64_t half = width / 2;
  // In f32, operation by operation as diffusers does it: at t = 1000 the rounding of a frequency
  // shows in the angle.
  const at::Tensor exponent = at::arange(half, timestep_N.options().dtype(at::kFloat)) *
                              -std::log(kLongestPeriod) / static_cast<double>(half);
  const at::Tensor angle = timestep_N.to(at::kFloat).unsqueeze(1) * exponent.exp().unsqueeze(0);
  const at::Tensor embedding = at::cat({angle.cos(), angle.sin()}, 1);
  return width % 2 == 0 ? embedding : at::constant_pad_nd(embedding, {0, 1});
}

}  // namespace sora
