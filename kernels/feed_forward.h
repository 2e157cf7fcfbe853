// y = activation(x W1^T + b1) W2^T + b2.
//
// x [..., K]; w1 [M, K], b1 [M], w2 [N, M], b2 [N], all of x's type, f32|bf16; y [..., N]. The
// inner activation of width M is rounded to x's type and exists for a tile of rows at a time on the
// CPU, never for all of x.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/linear.h"

namespace sora::kernels {

struct FeedForwardWeights {
  at::Tensor w1, b1, w2, b2;
  at::Tensor packed1, packed2;  // of w1 and w2, each as in linear.h, or undefined
};

at::Tensor feed_forward(const at::Tensor& x, const FeedForwardWeights& weights,
                        Activation activation);

namespace reference {
at::Tensor feed_forward(const at::Tensor& x, const FeedForwardWeights& weights,
                        Activation activation);
}  // namespace reference

}  // namespace sora::kernels
