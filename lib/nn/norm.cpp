#include "lib/nn/norm.h"

#include "kernels/layer_norm.h"

namespace sora {

LayerNorm::LayerNorm(const Weights& weights, int64_t width, double eps, Precision precision)
    : eps_(eps), dtype_(weights.dtype()) {
  const auto get = [&](const char* name) {
    const at::Tensor held = precision == Precision::Checkpoint ? weights.get_f32(name, {width})
                                                               : weights.get(name, {width});
    return held.to(at::kFloat).unsqueeze(0);
  };
  weight_1D_ = get("weight");
  bias_1D_ = get("bias");
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return kernels::layer_norm(x, weight_1D_, bias_1D_, {}, eps_, dtype_);
}

RmsNorm::RmsNorm(const Weights& weights, int64_t width, double eps)
    : weight_(weights.get("weight", {width}).to(at::kFloat)), eps_(eps) {}

void RmsNorm::apply_(const at::Tensor& x) const { kernels::rms_norm_(x, weight_, eps_); }

void RmsNorm::apply_and_rotate_(const at::Tensor& x_BLD, const Rotation& rotation) const {
  kernels::rms_norm_rotate_(x_BLD, weight_, eps_, rotation);
}

}  // namespace sora
