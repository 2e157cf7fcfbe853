#include "kernels/rms_norm_silu.h"

#include <ATen/ATen.h>

namespace sora::kernels::reference {

void rms_norm_silu_out(const at::Tensor& x, const at::Tensor& scale_D, NormActivation activation,
                       const at::Tensor& y) {
  constexpr double kLeastNorm = 1e-12;
  const at::Tensor x_f32 = x.to(at::kFloat);
  const at::Tensor norm = x_f32.square().sum(-1, /*keepdim=*/true).sqrt_().clamp_min_(kLeastNorm);
  at::Tensor normalised = x_f32.div(norm).mul_(scale_D);
  if (activation == NormActivation::Silu) normalised = at::silu_(normalised);
  y.copy_(normalised);
}

}  // namespace sora::kernels::reference
