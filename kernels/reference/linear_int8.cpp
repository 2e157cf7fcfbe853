#include "kernels/linear_int8.h"

#include <ATen/ATen.h>

namespace sora::kernels::reference {
namespace {

constexpr double kMost = 127;
constexpr double kLeast = 1e-30;  // a row whose numbers are all smaller counts as 0

struct Quantised {
  at::Tensor numbers, scale;  // f64: whole numbers, and what they are multiplied with
};

Quantised quantised(const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor top = wide.abs().amax(-1, /*keepdim=*/true);
  const at::Tensor is_zero = top < kLeast;
  const at::Tensor inverse = (kMost / top).masked_fill(is_zero, 0);
  return {(wide * inverse).round().to(at::kDouble),
          (top / kMost).masked_fill(is_zero, 0).to(at::kDouble)};
}

}  // namespace

at::Tensor linear_int8(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       Activation activation) {
  const Quantised left = quantised(x), right = quantised(weight);
  at::Tensor y = at::matmul(left.numbers, right.numbers.t()) * left.scale * right.scale.t();
  if (bias.defined()) y = y + bias.to(at::kDouble);
  activate_(y, activation);
  return y.to(x.scalar_type());
}

}  // namespace sora::kernels::reference
