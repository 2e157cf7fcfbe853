// oneDNN's convolutions with what ATen's public functions leave out: a sum fused into the last
// step, and the same algorithm for every size. (at::conv3d hands small float32 inputs to a path of
// its own, which is 10 to 18 times slower and whose result depends on the number of threads.)
#pragma once

#include <ATen/core/Tensor.h>

namespace sora::onednn {

// Whether this build and processor can convolve x with oneDNN.
bool can_convolve(const at::Tensor& x);

// x [N,C,..], weight [K,C,..], bias [K]; x dense in channels-last order. bf16 is multiplied in f32
// where oneDNN has no bf16: on processors without AVX-512.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::IntArrayRef padding, at::IntArrayRef stride);

// convolve(...) + other, rounded once; in new memory, or in that of `other`.
at::Tensor convolve_plus(const at::Tensor& other, const at::Tensor& x, const at::Tensor& weight,
                         const at::Tensor& bias, at::IntArrayRef padding, at::IntArrayRef stride);
void convolve_add_(at::Tensor& other, const at::Tensor& x, const at::Tensor& weight,
                   const at::Tensor& bias, at::IntArrayRef padding, at::IntArrayRef stride);

}  // namespace sora::onednn
