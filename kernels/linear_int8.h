// y = activation(s_x s_w X W^T + b), where X and W are x and weight in 8 bits: for each row of x (a
// token) and of weight (an output channel) with largest magnitude m, rounded(row * (127 / m)), and
// s = m / 127 (LLM.int8, arXiv 2208.07339, section 2.1, without its outliers).
//
// x [..., K] bf16, bias [N] bf16 or undefined, y [..., N] bf16. Sums of products are exact, in
// int32; what follows is in f32, with one rounding. The same bytes at any number of threads. Both
// roundings together put y off by about 1 % of its size where x has no outliers (47 dB for normal
// numbers).
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/linear.h"

namespace sora::kernels {

struct Int8Weight {
  at::Tensor pieces;  // int8 [N/32, K/64, 2048], in the order of cpu/tile_product.h
  at::Tensor scale;   // f32, of each column of y and of those that padding adds
  at::Tensor offset;  // int32, likewise: 128 times the sum of the column
  int64_t num_columns = 0, depth = 0;
  bool defined() const { return pieces.defined(); }
};

// weight [N, K] bf16 on the CPU, dense in K.
Int8Weight quantise(const at::Tensor& weight);

at::Tensor linear_int8(const at::Tensor& x, const Int8Weight& weight, const at::Tensor& bias,
                       Activation activation = Activation::None);

// linear_int8 of linear_int8, the inner activation in bf16 for some rows at a time.
at::Tensor feed_forward_int8(const at::Tensor& x, const Int8Weight& w1, const at::Tensor& b1,
                             const Int8Weight& w2, const at::Tensor& b2, Activation activation);

namespace reference {
at::Tensor linear_int8(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       Activation activation);
}  // namespace reference

}  // namespace sora::kernels
