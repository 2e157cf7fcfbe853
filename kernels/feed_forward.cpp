#include "kernels/feed_forward.h"

#include <ATen/ATen.h>

#include "kernels/cpu/tile_linear.h"
#include "kernels/cpu/tiles.h"

namespace sora::kernels {

at::Tensor feed_forward(const at::Tensor& x, const FeedForwardWeights& weights,
                        Activation activation) {
  if (!x.is_cpu()) return reference::feed_forward(x, weights, activation);
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weights.w2.size(0);
  if (weights.packed1.defined() && weights.packed2.defined() &&
      cpu::has_tile_activation(activation)) {
    const at::Tensor y = at::empty({rows.size(0), weights.w2.size(0)}, x.options());
    cpu::tile_feed_forward(rows.contiguous(), weights, activation, y);
    return y.view(shape);
  }
  if (weights.packed1.defined() || weights.packed2.defined() ||
      cpu::prefers_columns(rows.size(0))) {
    const at::Tensor inner = linear(rows, weights.w1, weights.b1, activation, weights.packed1);
    return linear(inner, weights.w2, weights.b2, Activation::None, weights.packed2).view(shape);
  }
  const at::Tensor y = at::empty({rows.size(0), weights.w2.size(0)}, x.options());
  const cpu::Tiling tiles = cpu::row_tiles(rows.size(0));
  cpu::for_each_tile(tiles, [&](int64_t tile) {
    const int64_t begin = tiles.begin(tile), length = tiles.length(tile);
    const at::Tensor inner =
        cpu::linear_tile(rows.narrow(0, begin, length), weights.w1, weights.b1, activation);
    y.narrow(0, begin, length)
        .copy_(cpu::linear_tile(inner, weights.w2, weights.b2, Activation::None));
  });
  return y.view(shape);
}

}  // namespace sora::kernels
