// How far a result is from its reference.
#pragma once

#include <ATen/ATen.h>

namespace sora {

// Root mean square of the difference over that of the reference, as the fixtures measure bf16.
inline double relative_error(const at::Tensor& found, const at::Tensor& wanted) {
  TORCH_CHECK(found.sizes() == wanted.sizes(), found.sizes(), " is not ", wanted.sizes());
  const at::Tensor reference = wanted.to(at::kDouble);
  return ((found.to(at::kDouble) - reference).norm() / reference.norm()).item<double>();
}

}  // namespace sora
