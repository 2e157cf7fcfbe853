#include "lib/nn/linear.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace sora {

namespace {

// Of the rows of a packed weight that are expanded at a time: large enough for a product that is
// worth its start, and for all of a layer of the 14B models but its feed-forward.
constexpr int64_t kExpandedBytes = 64 << 20;

kernels::Int8Weight int8_copy(const Weights& weights, const WeightMatrix& weight) {
  const bool has_values = weight.packed || !weight.plain_NK.is_meta();
  if (!weights.arithmetic().int8_products || !has_values) return {};
  return kernels::quantise(weight.packed ? weight.packed->all(at::kBFloat16)
                                         : weight.plain_NK.to(at::kBFloat16).contiguous());
}

// The copy in the processor's own order, beside which of the weight the shape is kept.
at::Tensor reordered(WeightMatrix& weight) {
  const bool has_values = !weight.packed && !weight.plain_NK.is_meta();
  at::Tensor packed = has_values ? kernels::pack(weight.plain_NK) : at::Tensor();
  if (packed.defined()) weight.plain_NK = weight.plain_NK.to(at::kMeta);
  return packed;
}

}  // namespace

Linear::Linear(const Weights& weights, int64_t in, int64_t out, bool bias)
    : weight_(weights.get_matrix("weight", out, in)),
      int8_(int8_copy(weights, weight_)),
      bias_(bias ? weights.get("bias", {out}) : at::Tensor()),
      dtype_(weights.dtype()) {
  if (int8_.defined()) {
    weight_.plain_NK = at::Tensor();
    weight_.packed.reset();
  } else {
    packed_ = reordered(weight_);
  }
  weights.forget_pages();  // read for a copy in another order or type, or not read yet
}

Linear::Linear(at::Tensor weight_NK, at::Tensor bias_N)
    : weight_{std::move(weight_NK), nullptr, {}},
      bias_(std::move(bias_N)),
      packed_(reordered(weight_)),
      dtype_(weight_.plain_NK.scalar_type()) {}

at::Tensor Linear::operator()(const at::Tensor& x, Activation activation) const {
  if (weight_.low_rank.empty()) return product(x, activation);
  at::Tensor y = product(x, Activation::None);
  for (const LowRank& each : weight_.low_rank) {
    const at::Tensor inner = kernels::linear(x, each.down_RK, {});
    y.add_(kernels::linear(inner, each.up_NR, {}), each.scale);
  }
  kernels::reference::activate_(y, activation);
  return y;
}

at::Tensor Linear::product(const at::Tensor& x, Activation activation) const {
  if (int8_.defined()) return kernels::linear_int8(x, int8_, bias_, activation);
  if (!weight_.packed) return kernels::linear(x, weight_.plain_NK, bias_, activation, packed_);
  const PackedMatrix& packed = *weight_.packed;
  const int64_t num_rows = packed.num_rows();
  const auto row_bytes = packed.num_columns() * static_cast<int64_t>(c10::elementSize(dtype_));
  const int64_t step = std::max<int64_t>(1, kExpandedBytes / std::max<int64_t>(row_bytes, 1));
  if (step >= num_rows) return kernels::linear(x, packed.all(dtype_), bias_, activation);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = num_rows;
  at::Tensor y = at::empty(shape, x.options());
  for (int64_t begin = 0; begin < num_rows; begin += step) {
    const int64_t end = std::min(begin + step, num_rows);
    const at::Tensor bias = bias_.defined() ? bias_.slice(0, begin, end) : at::Tensor();
    y.narrow(-1, begin, end - begin)
        .copy_(kernels::linear(x, packed.rows(begin, end, dtype_), bias, activation));
  }
  return y;
}

FeedForward::FeedForward(const Linear& first, const Linear& second, Activation activation)
    : first_(first), second_(second), activation_(activation) {
  if (!first.is_plain() || !second.is_plain()) return;
  weights_ = {first.weight(), first.bias(),   second.weight(),
              second.bias(),  first.packed(), second.packed()};
}

at::Tensor FeedForward::operator()(const at::Tensor& x) const {
  if (first_.is_int8() && second_.is_int8()) {
    return kernels::feed_forward_int8(x, first_.int8(), first_.bias(), second_.int8(),
                                      second_.bias(), activation_);
  }
  if (!weights_.w1.defined()) return second_(first_(x, activation_));
  return kernels::feed_forward(x, weights_, activation_);
}

}  // namespace sora
