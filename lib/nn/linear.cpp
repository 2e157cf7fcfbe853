#include "lib/nn/linear.h"

#include <utility>

namespace sora {

Linear::Linear(const Weights& weights, int64_t in, int64_t out, bool bias)
    : weight_(weights.get("weight", {out, in})),
      bias_(bias ? weights.get("bias", {out}) : at::Tensor()),
      packed_(kernels::pack(weight_)) {}

Linear::Linear(at::Tensor weight_NK, at::Tensor bias_N)
    : weight_(std::move(weight_NK)), bias_(std::move(bias_N)), packed_(kernels::pack(weight_)) {}

at::Tensor Linear::operator()(const at::Tensor& x, Activation activation) const {
  return kernels::linear(x, weight_, bias_, activation, packed_);
}

FeedForward::FeedForward(const Linear& first, const Linear& second, Activation activation)
    : weights_{first.weight(), first.bias(),   second.weight(),
               second.bias(),  first.packed(), second.packed()},
      activation_(activation) {}

at::Tensor FeedForward::operator()(const at::Tensor& x) const {
  return kernels::feed_forward(x, weights_, activation_);
}

}  // namespace sora
