#include "kernels/rms_norm.h"

#include <ATen/ATen.h>

namespace sora::kernels::reference {
namespace {

at::Tensor rms_norm_f32(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  return wide * at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps) * weight;
}

}  // namespace

void rms_norm_(const at::Tensor& x, const at::Tensor& weight, double eps) {
  x.copy_(rms_norm_f32(x, weight, eps));
}

void rms_norm_rotate_(const at::Tensor& x_BLD, const at::Tensor& weight, double eps,
                      const Rotation& rotation) {
  const int64_t pairs = rotation.cos.size(1);
  const at::Tensor y =
      rms_norm_f32(x_BLD, weight, eps).unflatten(2, {-1, pairs, 2});  // [B, L, H, K/2, 2]
  const at::Tensor cos = rotation.cos.unsqueeze(1), sin = rotation.sin.unsqueeze(1);
  const at::Tensor even = y.select(-1, 0), odd = y.select(-1, 1);
  x_BLD.copy_(at::stack({even * cos - odd * sin, even * sin + odd * cos}, -1).flatten(2));
}

}  // namespace sora::kernels::reference
