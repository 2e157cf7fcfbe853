// Layers made of matrix products. A layer takes its weights from the checkpoint once, in place, and
// is const after.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/feed_forward.h"
#include "kernels/linear.h"
#include "kernels/linear_int8.h"
#include "lib/nn/weights.h"

namespace sora {

using kernels::Activation;

// y = activation(x W^T + b): "weight" [out, in] and "bias" [out] in weights.dtype(). A packed
// weight is expanded, some rows at a time, whenever it is used; where weights.arithmetic() asks for
// products in 8 bits, weights of either kind are held in 8 bits alone.
class Linear {
 public:
  Linear(const Weights& weights, int64_t in, int64_t out, bool bias = true);
  // Weights held by the caller, for products that a checkpoint stores in another form.
  Linear(at::Tensor weight_NK, at::Tensor bias_N);

  at::Tensor operator()(const at::Tensor& x, Activation activation = Activation::None) const;

  at::ScalarType dtype() const { return dtype_; }  // of the products
  // Whether weight() is all there is: it is not packed, and no LoRA is added.
  bool is_plain() const { return !int8_.defined() && !weight_.packed && weight_.low_rank.empty(); }
  const at::Tensor& weight() const { return weight_.plain_NK; }  // its shape where packed()
  const at::Tensor& bias() const { return bias_; }
  const at::Tensor& packed() const { return packed_; }  // kernels::pack(weight())
  // Whether the product with this is all there is.
  bool is_int8() const { return int8_.defined() && weight_.low_rank.empty(); }
  const kernels::Int8Weight& int8() const { return int8_; }

 private:
  at::Tensor product(const at::Tensor& x, Activation activation) const;

  WeightMatrix weight_;
  kernels::Int8Weight int8_;
  at::Tensor bias_, packed_;
  at::ScalarType dtype_;
};

// y = activation(x W1^T + b1) W2^T + b2, the two products at different names in different
// checkpoints.
class FeedForward {
 public:
  FeedForward(const Linear& first, const Linear& second, Activation activation);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  Linear first_, second_;
  kernels::FeedForwardWeights weights_;  // where both are plain
  Activation activation_;
};

}  // namespace sora
