// What the forms of tile_convolution.h share: the copy of a block of x, and the way from sums to y.
// Included by units for one processor each, which keep their own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/copy_32.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/tile_convolution.h"

namespace sora::kernels::cpu {
namespace {

// The copy of a block with the pixels around it: [frames][depths][rows][columns][32].
struct CopiedBlock {
  CopiedBlock(const TileConvolution& conv, int64_t num_frames, int64_t num_rows,
              int64_t num_columns)
      : frames(num_frames + conv.taps - 1),
        depths((conv.channels + kTileDepth - 1) / kTileDepth),
        rows(num_rows + conv.kernel_rows - 1),
        columns(num_columns + conv.kernel_columns - 1),
        row_numbers(columns * kTileDepth),
        depth_numbers(rows * row_numbers),
        frame_numbers(depths * depth_numbers) {}
  int64_t numbers() const { return frames * frame_numbers; }

  int64_t frames, depths, rows, columns;
  int64_t row_numbers, depth_numbers, frame_numbers;
};

static_assert(kTileDepth == 32);

// Channels of one pixel, to every depth's place.
template <typename Number>
void copy_pixel(const uint16_t* from, int64_t channels, Number* to, int64_t stride) {
  int64_t c = 0;
  for (; c + kTileDepth <= channels; c += kTileDepth, to += stride)
    copy_32(from + c, kTileDepth, to);
  if (c < channels) copy_32(from + c, channels - c, to);
}

template <typename Number>
void clear_pixels(Number* to, int64_t count) {
  constexpr int64_t kInRegister = sizeof(Floats) / sizeof(Number);
  for (int64_t i = 0; i < count * kTileDepth; i += kInRegister)
    store_floats(reinterpret_cast<float*>(to + i), zeros());
}

// The block as it is, in bf16, or widened to f32.
template <typename Number>
void copy_block(const TileConvolution& conv, const ConvolutionBlock& block,
                const CopiedBlock& copied, Number* to) {
  const int64_t first_column = block.column - conv.left;
  const int64_t known_from = first_column < 0 ? -first_column : 0;
  int64_t known_to = conv.width - first_column;
  if (known_to > copied.columns) known_to = copied.columns;
  for (int64_t frame = 0; frame < copied.frames; ++frame) {
    for (int64_t row = 0; row < copied.rows; ++row) {
      Number* const first = to + frame * copied.frame_numbers + row * copied.row_numbers;
      const int64_t x_row = block.row - conv.top + row;
      const bool known = x_row >= 0 && x_row < conv.height && known_from < known_to;
      for (int64_t depth = 0; depth < copied.depths; ++depth) {
        Number* const line = first + depth * copied.depth_numbers;
        clear_pixels(line, known ? known_from : copied.columns);
        if (known) clear_pixels(line + known_to * kTileDepth, copied.columns - known_to);
      }
      if (!known) continue;
      const uint16_t* from =
          conv.x + (((block.frame + frame) * conv.height + x_row) * conv.width + first_column) *
                       conv.channels;
      for (int64_t column = known_from; column < known_to; ++column)
        copy_pixel(from + column * conv.channels, conv.channels, first + column * kTileDepth,
                   copied.depth_numbers);
    }
  }
}

// Neighbouring pixels of a row of y.
struct PixelRun {
  int64_t frame, row, column, count;
};

// y of outputs first_output .. first_output + 31, as far as there are so many; sums [pixels][32].
inline void finish_pixels(const TileConvolution& conv, const float* sums, const PixelRun& run,
                          int64_t first_output) {
  const int64_t outputs = conv.outputs - first_output;
  Floats bias[kRegistersOf32];
#pragma GCC unroll 4
  for (int64_t i = 0; i < kRegistersOf32; ++i)
    bias[i] = load_any(conv.bias + first_output + i * kLanes);
  const auto place = [&](const FrameStrides& strides, int64_t column) {
    return run.frame * strides.frame + run.row * strides.row + column * strides.column +
           first_output;
  };
  for (int64_t pixel = 0; pixel < run.count; ++pixel) {
    Floats y[kRegistersOf32];
#pragma GCC unroll 4
    for (int64_t i = 0; i < kRegistersOf32; ++i)
      y[i] = load_floats(sums + pixel * kOutputsAtOnce + i * kLanes) + bias[i];
    if (conv.other != nullptr) {
      Floats other[kRegistersOf32];
      load_bf16(conv.other + place(conv.other_strides, run.column + pixel), outputs, other);
#pragma GCC unroll 4
      for (int64_t i = 0; i < kRegistersOf32; ++i) y[i] += other[i];
    }
    store_bf16(conv.y + place(conv.y_strides, run.column + pixel), outputs, y);
  }
}

}  // namespace
}  // namespace sora::kernels::cpu
