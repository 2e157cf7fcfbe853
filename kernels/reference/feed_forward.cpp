#include "kernels/feed_forward.h"

#include <ATen/ATen.h>

namespace sora::kernels::reference {

at::Tensor feed_forward(const at::Tensor& x, const FeedForwardWeights& weights,
                        Activation activation) {
  const at::Tensor inner = reference::linear(x, weights.w1, weights.b1, activation);
  return reference::linear(inner, weights.w2, weights.b2, Activation::None);
}

}  // namespace sora::kernels::reference
