// y = x / sqrt(mean(x^2) + eps) * weight over the last dimension, and optionally a rotation of each
// head's pairs.
//
// x [..., D] f32|bf16 contiguous, changed in place; weight [D] f32. Arithmetic in f32, one rounding
// to x's type.
//
// The rotation (rotary embedding, arXiv 2104.09864): head width K, D = heads * K. With token l of a
// sequence of L tokens, pair i of a head turns by an angle whose cosine and sine are given:
//   (y[2i], y[2i+1]) <- (y[2i] cos - y[2i+1] sin, y[2i] sin + y[2i+1] cos)
#pragma once

#include <ATen/core/Tensor.h>

namespace sora::kernels {

// cos, sin [L, K/2] f32 contiguous.
struct Rotation {
  at::Tensor cos, sin;
};

void rms_norm_(const at::Tensor& x, const at::Tensor& weight, double eps);
// x [B, L, D]; the same rotation for every batch item and head.
void rms_norm_rotate_(const at::Tensor& x_BLD, const at::Tensor& weight, double eps,
                      const Rotation& rotation);

namespace reference {
void rms_norm_(const at::Tensor& x, const at::Tensor& weight, double eps);
void rms_norm_rotate_(const at::Tensor& x_BLD, const at::Tensor& weight, double eps,
                      const Rotation& rotation);
}  // namespace reference

}  // namespace sora::kernels
