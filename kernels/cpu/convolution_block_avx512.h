// What the forms of tile_convolution.h share: the copy of a block of x, and the way from sums to y.
// Included by units for AVX-512 only, each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/lanes_avx512.h"
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

inline void store_depth(uint16_t* to, __m512i bf16) { _mm512_store_si512(to, bf16); }
inline void store_depth(float* to, __m512i bf16) {
  _mm512_store_ps(to, widened(_mm512_castsi512_si256(bf16)));
  _mm512_store_ps(to + kLanes, widened(_mm512_extracti64x4_epi64(bf16, 1)));
}

// Channels of one pixel, to every depth's place.
template <typename Number>
void copy_pixel(const uint16_t* from, int64_t channels, Number* to, int64_t stride) {
  int64_t c = 0;
  for (; c + kTileDepth <= channels; c += kTileDepth, to += stride)
    store_depth(to, _mm512_loadu_si512(from + c));
  if (c < channels) store_depth(to, _mm512_maskz_loadu_epi16(first_of_32(channels - c), from + c));
}

template <typename Number>
void clear_pixels(Number* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) store_depth(to + i * kTileDepth, _mm512_setzero_si512());
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
  const __mmask32 outputs = first_of_32(conv.outputs - first_output);
  const __m512 bias_low = _mm512_loadu_ps(conv.bias + first_output),
               bias_high = _mm512_loadu_ps(conv.bias + first_output + kTileOutputs);
  const auto place = [&](const FrameStrides& strides, int64_t column) {
    return run.frame * strides.frame + run.row * strides.row + column * strides.column +
           first_output;
  };
  for (int64_t i = 0; i < run.count; ++i) {
    const float* const sum = sums + i * kOutputsAtOnce;
    __m512 low = _mm512_add_ps(_mm512_load_ps(sum), bias_low),
           high = _mm512_add_ps(_mm512_load_ps(sum + kTileOutputs), bias_high);
    if (conv.other != nullptr) {
      const __m512i other =
          _mm512_maskz_loadu_epi16(outputs, conv.other + place(conv.other_strides, run.column + i));
      low = _mm512_add_ps(low, widened(_mm512_castsi512_si256(other)));
      high = _mm512_add_ps(high, widened(_mm512_extracti64x4_epi64(other, 1)));
    }
    _mm512_mask_storeu_epi16(conv.y + place(conv.y_strides, run.column + i), outputs,
                             rounded(low, high));
  }
}

}  // namespace
}  // namespace sora::kernels::cpu
