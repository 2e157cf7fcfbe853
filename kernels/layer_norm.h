// y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias over the last dimension, where token n
// takes row row[n] of weight and bias. With weight = 1 + scale and bias = shift of each noise level
// this is the adaptive layer norm of diffusion transformers (arXiv 2212.09748, section 3.2); with
// one row, the plain one.
//
// x [..., D] f32|bf16 contiguous, N tokens in all; weight, bias [R, D] f32, dense in D; row [N]
// int64 in [0, R), or undefined: row 0 for all. Returns x's shape in `dtype`, f32|bf16. Statistics
// and arithmetic in f32, one rounding.
#pragma once

#include <ATen/core/Tensor.h>

namespace sora::kernels {

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight_RD, const at::Tensor& bias_RD,
                      const at::Tensor& row_N, double eps, at::ScalarType dtype);

namespace reference {
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight_RD, const at::Tensor& bias_RD,
                      const at::Tensor& row_N, double eps, at::ScalarType dtype);
}  // namespace reference

}  // namespace sora::kernels
