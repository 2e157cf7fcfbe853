// One point of a flow schedule as the multistep solvers see it.
#pragma once

#include <ATen/ATen.h>

namespace sora {

// Scalars are f32 tensors without dimensions, because the coefficients made of them cancel: at 50
// steps and order 3 their last digits are rounding, and only torch's own f32 functions round as the
// reference does.
struct NoiseLevel {
  explicit NoiseLevel(double level)
      : sigma(at::scalar_tensor(level, at::kFloat)),
        alpha(1 - sigma),
        lambda(alpha.log() - sigma.log()) {}

  at::Tensor sigma;   // share of noise
  at::Tensor alpha;   // share of the clean sample
  at::Tensor lambda;  // log(alpha / sigma); infinite at sigma 0
};

}  // namespace sora
