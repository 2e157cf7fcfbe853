#include "lib/nn/conv_onednn.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "kernels/cpu/processor.h"
#include "kernels/cpu/tiles.h"

namespace sora::onednn {
namespace {

using OptionalTensor = std::optional<at::Tensor>;
using OptionalScalar = std::optional<at::Scalar>;
using OptionalText = std::optional<std::string_view>;
using ScalarList = c10::List<OptionalScalar>;

// The operators are libtorch's own but have no C++ declaration; the dispatcher checks these against
// their schemas.
using Binary = at::Tensor(const at::Tensor& x, const at::Tensor& other, const at::Tensor& weight,
                          const OptionalTensor& bias, at::IntArrayRef padding,
                          at::IntArrayRef stride, at::IntArrayRef dilation, int64_t groups,
                          std::string_view binary_attr, OptionalScalar alpha,
                          OptionalText unary_attr, ScalarList unary_scalars,
                          OptionalText unary_algorithm);
using BinaryInPlace = at::Tensor&(at::Tensor& other, const at::Tensor& x, const at::Tensor& weight,
                                  const OptionalTensor& bias, at::IntArrayRef padding,
                                  at::IntArrayRef stride, at::IntArrayRef dilation, int64_t groups,
                                  std::string_view binary_attr, OptionalScalar alpha,
                                  OptionalText unary_attr, ScalarList unary_scalars,
                                  OptionalText unary_algorithm);
template <typename Signature>
c10::TypedOperatorHandle<Signature> find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

std::vector<int64_t> ones(at::IntArrayRef like) { return std::vector<int64_t>(like.size(), 1); }

at::Tensor convolve_whole(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          at::IntArrayRef padding, at::IntArrayRef stride) {
  return at::mkldnn_convolution(x, weight, bias, padding, stride, ones(stride), /*groups=*/1);
}

// Note [Rows by one thread]
// How oneDNN cuts the sums of a float32 convolution, and so their last bits, depends on the number
// of threads for some sizes (bf16 ones do not). So the output rows are cut into tiles by the shape
// alone, and one thread computes each.
at::Tensor convolve_in_row_tiles(const at::Tensor& x, const at::Tensor& weight,
                                 const at::Tensor& bias, at::IntArrayRef padding,
                                 at::IntArrayRef stride) {
  constexpr int64_t kMostTiles = 16, kFewestRows = 4;
  const int64_t rows_dim = x.dim() - 2, kernel_rows = weight.size(rows_dim);
  const int64_t row_padding = padding[rows_dim - 2], row_stride = stride[rows_dim - 2];
  std::vector<int64_t> sizes = {x.size(0), weight.size(0)};
  for (int64_t dim = 2; dim < x.dim(); ++dim) {
    sizes.push_back((x.size(dim) + 2 * padding[dim - 2] - weight.size(dim)) / stride[dim - 2] + 1);
  }
  const auto layout =
      x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::ChannelsLast3d;
  at::Tensor y = at::empty(sizes, x.options().memory_format(layout));
  std::vector<int64_t> padding_of_tile = padding.vec();
  padding_of_tile[rows_dim - 2] = 0;
  const int64_t rows = sizes[rows_dim];
  const int64_t size = std::max(kFewestRows, (rows + kMostTiles - 1) / kMostTiles);
  const kernels::cpu::Tiling tiling{rows, size, (rows + size - 1) / size};
  kernels::cpu::for_each_tile(tiling, [&](int64_t tile) {
    const int64_t first = tiling.begin(tile), count = tiling.length(tile);
    const int64_t from = first * row_stride - row_padding;
    const int64_t to = from + (count - 1) * row_stride + kernel_rows;
    const int64_t known_from = std::max<int64_t>(from, 0),
                  known_to = std::min(to, x.size(rows_dim));
    const at::Tensor seen =
        at::constant_pad_nd(x.narrow(rows_dim, known_from, known_to - known_from),
                            std::array<int64_t, 4>{0, 0, known_from - from, to - known_to});
    y.narrow(rows_dim, first, count)
        .copy_(convolve_whole(seen, weight, bias, padding_of_tile, stride));
  });
  return y;
}

// Whether x is multiplied in f32: if it is, or where oneDNN has no bf16.
bool is_multiplied_in_f32(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat || !kernels::cpu::libraries_multiply_bf16();
}

at::Tensor convolve_in_f32(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           at::IntArrayRef padding, at::IntArrayRef stride) {
  return convolve_in_row_tiles(x.to(at::kFloat), weight.to(at::kFloat), bias.to(at::kFloat),
                               padding, stride);
}

}  // namespace

bool can_convolve(const at::Tensor& x) {
  return x.is_cpu() && at::hasMKLDNN() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::IntArrayRef padding, at::IntArrayRef stride) {
  if (is_multiplied_in_f32(x))
    return convolve_in_f32(x, weight, bias, padding, stride).to(x.scalar_type());
  return convolve_whole(x, weight, bias, padding, stride);
}

at::Tensor convolve_plus(const at::Tensor& other, const at::Tensor& x, const at::Tensor& weight,
                         const at::Tensor& bias, at::IntArrayRef padding, at::IntArrayRef stride) {
  if (is_multiplied_in_f32(x))
    return convolve_in_f32(x, weight, bias, padding, stride).add_(other).to(x.scalar_type());
  static const auto call = find<Binary>("mkldnn::_convolution_pointwise", "binary");
  return call.call(x, other, weight, bias, padding, stride, ones(stride), 1, "add", at::Scalar(1.0),
                   std::nullopt, ScalarList(), std::nullopt);
}

void convolve_add_(at::Tensor& other, const at::Tensor& x, const at::Tensor& weight,
                   const at::Tensor& bias, at::IntArrayRef padding, at::IntArrayRef stride) {
  if (is_multiplied_in_f32(x)) {
    other.copy_(convolve_in_f32(x, weight, bias, padding, stride).add_(other));
    return;
  }
  static const auto call = find<BinaryInPlace>("mkldnn::_convolution_pointwise_", "binary");
  call.call(other, x, weight, bias, padding, stride, ones(stride), 1, "add", at::Scalar(1.0),
            std::nullopt, ScalarList(), std::nullopt);
}

}  // namespace sora::onednn
