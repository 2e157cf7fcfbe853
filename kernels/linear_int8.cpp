#include "kernels/linear_int8.h"

#include <ATen/ATen.h>

#include "kernels/cpu/tile_linear.h"

namespace sora::kernels {

Int8Weight quantise(const at::Tensor& weight) {
  TORCH_CHECK(weight.is_cpu() && weight.scalar_type() == at::kBFloat16 && weight.dim() == 2 &&
                  weight.stride(1) == 1,
              "quantise: the weight is not a bf16 matrix on the CPU");
  return cpu::quantise_tiles(weight);
}

at::Tensor linear_int8(const at::Tensor& x, const Int8Weight& weight, const at::Tensor& bias,
                       Activation activation) {
  TORCH_CHECK(x.scalar_type() == at::kBFloat16 && x.size(-1) == weight.depth,
              "linear_int8: x is not bf16 of the weight's depth");
  const at::Tensor rows = x.reshape({-1, x.size(-1)}).contiguous();
  const at::Tensor y = at::empty({rows.size(0), weight.num_columns}, x.options());
  const bool in_product = cpu::has_tile_activation(activation);
  cpu::tile_linear_int8(rows, weight, bias, in_product ? activation : Activation::None, y);
  if (!in_product) reference::activate_(y, activation);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.num_columns;
  return y.view(shape);
}

at::Tensor feed_forward_int8(const at::Tensor& x, const Int8Weight& w1, const at::Tensor& b1,
                             const Int8Weight& w2, const at::Tensor& b2, Activation activation) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)}).contiguous();
  const at::Tensor y = at::empty({rows.size(0), w2.num_columns}, x.options());
  for (int64_t row = 0, count; row < rows.size(0); row += count) {
    count = cpu::inner_rows(rows.size(0) - row);
    const at::Tensor inner = linear_int8(rows.narrow(0, row, count), w1, b1, activation);
    cpu::tile_linear_int8(inner, w2, b2, Activation::None, y.narrow(0, row, count));
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = w2.num_columns;
  return y.view(shape);
}

}  // namespace sora::kernels
