#include "kernels/linear.h"

#include <ATen/ATen.h>

namespace sora::kernels::reference {

void activate_(const at::Tensor& x, Activation activation) {
  at::Tensor target = x;
  switch (activation) {
    case Activation::None:
      return;
    case Activation::GeluTanh:
      at::gelu_(target, "tanh");
      return;
    case Activation::Gelu:
      at::gelu_(target, "none");
      return;
    case Activation::Silu:
      at::silu_(target);
      return;
    case Activation::QuickGelu:
      target.mul_(at::sigmoid(1.702 * x));
      return;
  }
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  Activation activation) {
  const at::Tensor y = at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
  activate_(y, activation);
  return y;
}

}  // namespace sora::kernels::reference
