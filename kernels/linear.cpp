#include "kernels/linear.h"

#include <ATen/ATen.h>

#include "kernels/cpu/tile_linear.h"
#include "kernels/cpu/tiles.h"

namespace sora::kernels {
namespace {

void linear_by_rows(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    Activation activation, const at::Tensor& y) {
  const cpu::Tiling tiles = cpu::row_tiles(x.size(0));
  cpu::for_each_tile(tiles, [&](int64_t tile) {
    const int64_t begin = tiles.begin(tile), length = tiles.length(tile);
    y.narrow(0, begin, length)
        .copy_(cpu::linear_tile(x.narrow(0, begin, length), weight, bias, activation));
  });
}

void linear_by_columns(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       Activation activation, const at::Tensor& y) {
  const cpu::Tiling tiles = cpu::column_tiles(weight.size(0));
  cpu::for_each_tile(tiles, [&](int64_t tile) {
    const int64_t begin = tiles.begin(tile), length = tiles.length(tile);
    const at::Tensor part = bias.defined() ? bias.narrow(0, begin, length) : bias;
    y.narrow(1, begin, length)
        .copy_(cpu::linear_tile(x, weight.narrow(0, begin, length), part, activation));
  });
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  Activation activation, const at::Tensor& packed) {
  if (!x.is_cpu()) return reference::linear(x, weight, bias, activation);
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  const at::Tensor y = at::empty({rows.size(0), weight.size(0)}, x.options());
  if (packed.defined()) {
    const bool in_product = cpu::has_tile_activation(activation);
    cpu::tile_linear(rows.contiguous(), packed, bias, in_product ? activation : Activation::None,
                     y);
    if (!in_product) reference::activate_(y, activation);
  } else if (cpu::prefers_columns(rows.size(0))) {
    linear_by_columns(rows, weight, bias, activation, y);
  } else {
    linear_by_rows(rows, weight, bias, activation, y);
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return y.view(shape);
}

at::Tensor pack(const at::Tensor& weight) { return cpu::pack_tiles(weight); }

}  // namespace sora::kernels
