#include "kernels/convolution.h"

#include <ATen/ATen.h>

#include "kernels/cpu/ceil_div.h"
#include "kernels/cpu/frame_convolution.h"
#include "kernels/cpu/packed_memory.h"
#include "kernels/cpu/processor.h"
#include "kernels/cpu/tile_convolution.h"

namespace sora::kernels {
namespace {

using cpu::ceil_div;

bool has_dense_channels(const at::Tensor& x) {
  return x.is_cpu() && x.dim() == 4 && x.scalar_type() == at::kBFloat16 &&
         (x.stride(3) == 1 || x.size(3) == 1);
}

}  // namespace

PackedConvolution pack_convolution(const at::Tensor& weight, const at::Tensor& bias) {
  PackedConvolution packed = {{}, {}, weight.size(1), weight.size(0)};
  if (!cpu::has(cpu::Processor::Avx512Bf16) || !weight.is_cpu() ||
      weight.scalar_type() != at::kBFloat16)
    return packed;
  const int64_t panels = ceil_div(packed.out_channels, cpu::kTileOutputs),
                depths = ceil_div(packed.in_channels, cpu::kTileDepth);
  packed.tiles = cpu::packed_memory({panels, weight.size(2), depths, weight.size(4), weight.size(3),
                                     cpu::kTileDepth / 2, cpu::kTileOutputs, 2});
  if (!packed.defined()) return packed;
  const at::Tensor padded = at::constant_pad_nd(
      weight, {0, 0, 0, 0, 0, 0, 0, depths * cpu::kTileDepth - packed.in_channels, 0,
               panels * cpu::kTileOutputs - packed.out_channels});
  packed.tiles.copy_(padded.unflatten(1, {depths, cpu::kTileDepth / 2, 2})
                         .unflatten(0, {panels, cpu::kTileOutputs})
                         .permute({0, 5, 2, 7, 6, 3, 1, 4}));
  const int64_t outputs = ceil_div(packed.out_channels, cpu::kOutputsAtOnce) * cpu::kOutputsAtOnce;
  packed.bias = at::constant_pad_nd(bias.to(at::kFloat), {0, outputs - packed.out_channels});
  return packed;
}

void convolve_out(const at::Tensor& x_THWC, const PackedConvolution& weights, Padding padding,
                  const at::Tensor& other, const at::Tensor& y_THWK) {
  TORCH_CHECK(weights.defined() && has_dense_channels(y_THWK) && has_dense_channels(x_THWC) &&
                  x_THWC.is_contiguous() && x_THWC.size(3) == weights.in_channels &&
                  y_THWK.size(3) == weights.out_channels,
              "x ", x_THWC.sizes(), " and y ", y_THWK.sizes(), " for ", weights.in_channels,
              " channels in and ", weights.out_channels, " out");
  TORCH_CHECK(!other.defined() || (has_dense_channels(other) && other.sizes() == y_THWK.sizes()),
              "another operand for y ", y_THWK.sizes());
  const int64_t taps = x_THWC.size(0) - y_THWK.size(0) + 1;
  TORCH_CHECK(taps >= 1 && taps <= weights.tiles.size(1), "y has ", y_THWK.size(0),
              " frames, x has ", x_THWC.size(0), ", the kernel ", weights.tiles.size(1), " taps");
  if (y_THWK.numel() == 0) return;
  cpu::convolve_frames(x_THWC, weights, padding, other, y_THWK);
}

}  // namespace sora::kernels
