// Normalisations over the last dimension. Their few weights are held in f32, in which the
// arithmetic is done.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/rms_norm.h"
#include "lib/nn/weights.h"

namespace sora {

using kernels::Rotation;

// y = (x - mean) / sqrt(var + eps) * weight + bias; arithmetic in f32, one rounding to
// weights.dtype().
class LayerNorm {
 public:
  // The checkpoint's own precision is kept where the reference keeps it (`_keep_in_fp32_modules`),
  // else the weights are rounded to weights.dtype() first, as the reference holds them.
  enum class Precision { Checkpoint, Model };
  LayerNorm(const Weights& weights, int64_t width, double eps, Precision precision);

  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_1D_, bias_1D_;
  double eps_;
  at::ScalarType dtype_;
};

// y = x / sqrt(mean(x^2) + eps) * weight, in place. The weight is rounded to weights.dtype() first.
class RmsNorm {
 public:
  RmsNorm(const Weights& weights, int64_t width, double eps);

  void apply_(const at::Tensor& x) const;
  void apply_and_rotate_(const at::Tensor& x_BLD, const Rotation& rotation) const;

 private:
  at::Tensor weight_;
  double eps_;
};

}  // namespace sora
