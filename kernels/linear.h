// y = activation(x W^T + b).
//
// x [..., K] f32|bf16 contiguous; weight [N, K] and bias [N] (or undefined) of x's type; y [..., N]
// of x's type. Accumulates in f32. On the CPU every element of y is the same at any number of
// threads: Note [Tile products] in cpu/tile_product.h, Note [Tiles] in cpu/tiles.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace sora::kernels {

enum class Activation {
  None,
  GeluTanh,   // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  Gelu,       // x/2 (1 + erf(x / sqrt 2))
  Silu,       // x / (1 + exp(-x))
  QuickGelu,  // x / (1 + exp(-1.702 x))
};

// `packed` is pack(weight) or undefined: a copy of the weight in the order that the processor
// multiplies fastest. Where it is given, of the weight the shape alone is read.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  Activation activation = Activation::None, const at::Tensor& packed = {});

// Undefined where a copy would not pay.
at::Tensor pack(const at::Tensor& weight);

namespace reference {
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  Activation activation);
void activate_(const at::Tensor& x, Activation activation);
}  // namespace reference

}  // namespace sora::kernels
