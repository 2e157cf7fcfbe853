// x <- x + y * gate, where token n takes row row[n] of gate.
//
// x, y [..., D] contiguous, f32|bf16, x f32 or of y's type, N tokens in all; gate [R, D] f32, dense
// in D, or undefined: 1; row [N] int64 in [0, R), undefined with gate. Changes x in place.
// Arithmetic in f32, one rounding to x's type.
#pragma once

#include <ATen/core/Tensor.h>

namespace sora::kernels {

void gated_residual_(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate_RD = {},
                     const at::Tensor& row_N = {});

namespace reference {
void gated_residual_(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate_RD,
                     const at::Tensor& row_N);
}  // namespace reference

}  // namespace sora::kernels
