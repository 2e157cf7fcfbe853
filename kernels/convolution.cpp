#include "kernels/convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/cpu/ceil_div.h"
#include "kernels/cpu/packed_memory.h"
#include "kernels/cpu/processor.h"
#include "kernels/cpu/scratch_memory.h"
#include "kernels/cpu/share_tasks.h"
#include "kernels/cpu/tile_convolution.h"

namespace sora::kernels {
namespace {

using cpu::ceil_div;
using cpu::kOutputsAtOnce;

constexpr int64_t kTasksPerThread = 4;

// What computes a block on this processor.
struct Form {
  cpu::ConvolutionScratch* scratch;
  cpu::ConvolveBlock* convolve_block;
  int64_t most_bytes;  // of scratch memory
};

// Scratch memory has to stay in a second-level cache of 1 to 2 MB, or near it without
// AVX-512; with AMX, beside the weights of some outputs.
const Form* form_for(cpu::Processor processor) {
  static constexpr Form kAmx = {cpu::convolution_scratch_amx, cpu::convolve_block_amx, 800 << 10};
  static constexpr Form kAvx512 = {cpu::convolution_scratch_avx512, cpu::convolve_block_avx512,
                                   900 << 10};
  static constexpr Form kAvx2 = {cpu::convolution_scratch_avx2, cpu::convolve_block_avx2,
                                 1100 << 10};
  switch (processor) {
    case cpu::Processor::Amx:
      return &kAmx;
    case cpu::Processor::Avx512:
      return &kAvx512;
    case cpu::Processor::Avx2:
      return &kAvx2;
    default:
      return nullptr;
  }
}

struct BlockSize {
  int64_t frames, rows, columns;
};

// The block that copies the fewest pixels a pixel of y, of those whose memory is small enough.
BlockSize block_size(const cpu::TileConvolution& convolution, const Form& form, int64_t frames) {
  BlockSize best = {1, cpu::kTileRows, cpu::kTileColumns};
  double least = 0;
  for (const int64_t count : {1, 2, 4}) {
    for (const int64_t rows : {cpu::kTileRows, 2 * cpu::kTileRows}) {
      for (const int64_t columns : {cpu::kTileColumns, 2 * cpu::kTileColumns}) {
        const int64_t copied = (count + convolution.taps - 1) *
                               (rows + convolution.kernel_rows - 1) *
                               (columns + convolution.kernel_columns - 1);
        const double share =
            static_cast<double>(copied) / static_cast<double>(count * rows * columns);
        if (count > frames || (least > 0 && share >= least)) continue;
        if (form.scratch(convolution, count, rows, columns) > form.most_bytes) continue;
        best = {count, rows, columns};
        least = share;
      }
    }
  }
  return best;
}

void convolve_in_blocks(const cpu::TileConvolution& convolution, const Form& form, int64_t frames) {
  const BlockSize size = block_size(convolution, form, frames);
  const int64_t rows = ceil_div(convolution.out_height, size.rows),
                columns = ceil_div(convolution.out_width, size.columns);
  const int64_t blocks = ceil_div(frames, size.frames) * rows * columns;
  // Few blocks are copied once for each of several groups of outputs.
  const int64_t panels = ceil_div(convolution.outputs, kOutputsAtOnce);
  const int64_t groups =
      std::clamp<int64_t>(ceil_div(kTasksPerThread * at::get_num_threads(), blocks), 1, panels);
  const int64_t outputs = ceil_div(panels, groups) * kOutputsAtOnce;
  const int64_t scratch = form.scratch(convolution, size.frames, size.rows, size.columns);
  cpu::share_tasks(blocks * groups, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t block = task / groups, first_output = task % groups * outputs;
      if (first_output >= convolution.outputs) continue;
      const int64_t frame = block / (rows * columns) * size.frames,
                    row = block / columns % rows * size.rows,
                    column = block % columns * size.columns;
      const cpu::ConvolutionBlock part = {frame,
                                          row,
                                          column,
                                          std::min(size.frames, frames - frame),
                                          std::min(size.rows, convolution.out_height - row),
                                          std::min(size.columns, convolution.out_width - column),
                                          first_output,
                                          std::min(first_output + outputs, convolution.outputs)};
      form.convolve_block(convolution, part, cpu::scratch_memory(scratch));
    }
  });
}

bool has_dense_channels(const at::Tensor& x) {
  return x.is_cpu() && x.dim() == 4 && x.scalar_type() == at::kBFloat16 &&
         (x.stride(3) == 1 || x.size(3) == 1);
}

cpu::FrameStrides strides_of(const at::Tensor& x) {
  return {x.stride(0), x.stride(1), x.stride(2)};
}

}  // namespace

PackedConvolution pack_convolution(const at::Tensor& weight, const at::Tensor& bias) {
  return pack_convolution(weight, bias, cpu::bf16_processor());
}

PackedConvolution pack_convolution(const at::Tensor& weight, const at::Tensor& bias,
                                   cpu::Processor processor) {
  PackedConvolution packed = {{}, {}, weight.size(1), weight.size(0), processor};
  if (form_for(processor) == nullptr || !cpu::has(processor) || !weight.is_cpu() ||
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
  const int64_t outputs = ceil_div(packed.out_channels, kOutputsAtOnce) * kOutputsAtOnce;
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
  cpu::TileConvolution convolution = {};
  convolution.x = static_cast<const uint16_t*>(x_THWC.const_data_ptr());
  convolution.height = x_THWC.size(1);
  convolution.width = x_THWC.size(2);
  convolution.channels = weights.in_channels;
  const int64_t left_out = weights.tiles.size(1) - taps;
  convolution.tiles = static_cast<const uint16_t*>(weights.tiles.const_data_ptr()) +
                      left_out * weights.tiles.stride(1);
  convolution.numbers_of_16_outputs = weights.tiles.stride(0);
  convolution.taps = taps;
  convolution.kernel_rows = weights.tiles.size(4);
  convolution.kernel_columns = weights.tiles.size(3);
  convolution.top = padding.top;
  convolution.left = padding.left;
  convolution.bias = weights.bias.const_data_ptr<float>();
  if (other.defined()) {
    convolution.other = static_cast<const uint16_t*>(other.const_data_ptr());
    convolution.other_strides = strides_of(other);
  }
  convolution.y = static_cast<uint16_t*>(y_THWK.data_ptr());
  convolution.y_strides = strides_of(y_THWK);
  convolution.out_height = y_THWK.size(1);
  convolution.out_width = y_THWK.size(2);
  convolution.outputs = weights.out_channels;
  convolve_in_blocks(convolution, *form_for(weights.processor), y_THWK.size(0));
}

}  // namespace sora::kernels
