// bf16 products with a small weight that was packed beforehand: y = activation(x W^T + b).
//
// Note [Panels]
// The weight is cut into panels of columns of W^T, each laid out [K/2][columns][2] as the
// processor's matrix or dot-product unit reads it, and multiplied with 64 rows of x at a time by
// libtorch's brgemm, which oneDNN compiles for the processor it finds. A sum over K is made inside
// one call, so neither the number of threads nor the split between them shows in the result. Bias
// and activation are applied to the f32 sums, which are rounded once.
//
// Against kernels/cpu/tiles.h on one core of a Sapphire Rapids, 1000 rows (ms): 256 -> 256 0.12
// (0.20); 256 -> 1024 with GELU and back 1.0 (1.6). Large weights gain nothing from it, and would
// be held twice.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/linear.h"

namespace sora::kernels::cpu {

// The panels of weight [N, K], a copy of it; undefined where the processor, type or shape is not
// what they are for.
at::Tensor pack_panels(const at::Tensor& weight_NK);

bool has_panel_activation(Activation activation);

// x [rows, K] bf16 contiguous, y [rows, N] likewise; panels from pack_panels.
void panel_linear(const at::Tensor& x, const at::Tensor& panels, const at::Tensor& bias,
                  Activation activation, const at::Tensor& y);

}  // namespace sora::kernels::cpu
