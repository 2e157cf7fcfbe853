#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/tile_config_amx.h"
#include "kernels/cpu/tile_convolution.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kOutputs = 2 * kTileOutputs;  // finished at once
constexpr int64_t kSums = kTileRows * kTileColumns * kOutputs;

constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// The copy of a block with the pixels around it: [frames][depths][rows][columns][32].
struct CopiedBlock {
  CopiedBlock(const TileConvolution& conv, int64_t num_frames, int64_t num_rows,
              int64_t num_columns)
      : frames(num_frames + conv.taps - 1),
        depths(round_up(conv.channels, kTileDepth) / kTileDepth),
        rows(round_up(num_rows, kTileRows) + conv.kernel_rows - 1),
        columns(round_up(num_columns, kTileColumns) + conv.kernel_columns - 1),
        row_numbers(columns * kTileDepth),
        depth_numbers(rows * row_numbers),
        frame_numbers(depths * depth_numbers) {}
  int64_t frames, depths, rows, columns;
  int64_t row_numbers, depth_numbers, frame_numbers;
};

// Channels of one pixel, to every depth's place.
void copy_pixel(const uint16_t* from, int64_t channels, uint16_t* to, int64_t stride) {
  int64_t c = 0;
  for (; c + kTileDepth <= channels; c += kTileDepth, to += stride)
    _mm512_store_si512(to, _mm512_loadu_si512(from + c));
  if (c < channels) {
    const __mmask32 rest = (uint32_t{1} << (channels - c)) - 1;
    _mm512_store_si512(to, _mm512_maskz_loadu_epi16(rest, from + c));
  }
}

void clear_pixels(uint16_t* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    _mm512_store_si512(to + i * kTileDepth, _mm512_setzero_si512());
}

void copy_block(const TileConvolution& conv, const ConvolutionBlock& block,
                const CopiedBlock& copied, uint16_t* to) {
  const int64_t first_column = block.column - conv.left;
  const int64_t known_from = first_column < 0 ? -first_column : 0;
  int64_t known_to = conv.width - first_column;
  if (known_to > copied.columns) known_to = copied.columns;
  for (int64_t frame = 0; frame < copied.frames; ++frame) {
    for (int64_t row = 0; row < copied.rows; ++row) {
      uint16_t* const first = to + frame * copied.frame_numbers + row * copied.row_numbers;
      const int64_t x_row = block.row - conv.top + row;
      const bool known = x_row >= 0 && x_row < conv.height && known_from < known_to;
      for (int64_t depth = 0; depth < copied.depths; ++depth) {
        uint16_t* const line = first + depth * copied.depth_numbers;
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

// Sums [4][16 pixels][16 outputs] of four rows from `x` on, a pixel's outputs 32 numbers apart.
void sum_tiles(const TileConvolution& conv, const CopiedBlock& copied, const uint16_t* x,
               const uint16_t* tile, float* sums) {
  constexpr int kBytesOfDepth = kTileDepth * sizeof(uint16_t);
  const int64_t row = copied.row_numbers;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t tap = 0; tap < conv.taps; ++tap) {
    for (int64_t depth = 0; depth < copied.depths; ++depth) {
      const uint16_t* const plane = x + tap * copied.frame_numbers + depth * copied.depth_numbers;
      for (int64_t column = 0; column < conv.kernel_columns; ++column) {
        const uint16_t* pixels = plane + column * kTileDepth;
        for (int64_t i = 0; i < conv.kernel_rows; ++i, pixels += row, tile += kTileNumbers) {
          _tile_loadd(4, tile, 64);
          _tile_loadd(5, pixels, kBytesOfDepth);
          _tile_dpbf16ps(0, 5, 4);
          _tile_loadd(6, pixels + row, kBytesOfDepth);
          _tile_dpbf16ps(1, 6, 4);
          _tile_loadd(7, pixels + 2 * row, kBytesOfDepth);
          _tile_dpbf16ps(2, 7, 4);
          _tile_loadd(5, pixels + 3 * row, kBytesOfDepth);
          _tile_dpbf16ps(3, 5, 4);
        }
      }
    }
  }
  constexpr int64_t kRow = kTileColumns * kOutputs;
  constexpr int kBytesOfOutputs = kOutputs * sizeof(float);
  _tile_stored(0, sums, kBytesOfOutputs);
  _tile_stored(1, sums + kRow, kBytesOfOutputs);
  _tile_stored(2, sums + 2 * kRow, kBytesOfOutputs);
  _tile_stored(3, sums + 3 * kRow, kBytesOfOutputs);
}

__m512 widened(__m256i bf16) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
}

// Outputs first_output .. first_output + 31, as far as there are so many, of the four rows.
void finish(const TileConvolution& conv, const float* sums, int64_t frame, int64_t first_row,
            int64_t first_column, int64_t first_output) {
  const int64_t left = conv.outputs - first_output;
  const __mmask32 outputs = left >= kOutputs ? ~uint32_t{0} : (uint32_t{1} << left) - 1;
  const __m512 bias_low = _mm512_loadu_ps(conv.bias + first_output),
               bias_high = _mm512_loadu_ps(conv.bias + first_output + kTileOutputs);
  const auto place = [&](const FrameStrides& strides, int64_t row, int64_t column) {
    return frame * strides.frame + row * strides.row + column * strides.column + first_output;
  };
  for (int64_t r = 0; r < kTileRows && first_row + r < conv.out_height; ++r) {
    for (int64_t c = 0; c < kTileColumns && first_column + c < conv.out_width; ++c) {
      const float* const sum = sums + (r * kTileColumns + c) * kOutputs;
      __m512 low = _mm512_add_ps(_mm512_load_ps(sum), bias_low),
             high = _mm512_add_ps(_mm512_load_ps(sum + kTileOutputs), bias_high);
      if (conv.other != nullptr) {
        const __m512i other = _mm512_maskz_loadu_epi16(
            outputs, conv.other + place(conv.other_strides, first_row + r, first_column + c));
        low = _mm512_add_ps(low, widened(_mm512_castsi512_si256(other)));
        high = _mm512_add_ps(high, widened(_mm512_extracti64x4_epi64(other, 1)));
      }
      const __m512i rounded = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
      _mm512_mask_storeu_epi16(conv.y + place(conv.y_strides, first_row + r, first_column + c),
                               outputs, rounded);
    }
  }
}

}  // namespace

int64_t tile_convolution_scratch(const TileConvolution& convolution, int64_t num_frames,
                                 int64_t num_rows, int64_t num_columns) {
  const CopiedBlock copied(convolution, num_frames, num_rows, num_columns);
  return static_cast<int64_t>(kSums * sizeof(float) +
                              copied.frames * copied.frame_numbers * sizeof(uint16_t));
}

void convolve_block_amx(const TileConvolution& convolution, const ConvolutionBlock& block,
                        void* scratch) {
  float* const sums = static_cast<float*>(scratch);
  uint16_t* const x = reinterpret_cast<uint16_t*>(sums + kSums);
  const CopiedBlock copied(convolution, block.num_frames, block.num_rows, block.num_columns);
  copy_block(convolution, block, copied, x);
  begin_tiles();
  for (int64_t output = block.first_output; output < block.last_output; output += kOutputs) {
    const uint16_t* const tiles =
        convolution.tiles + output / kTileOutputs * convolution.numbers_of_16_outputs;
    const bool both = output + kTileOutputs < convolution.outputs;
    for (int64_t frame = 0; frame < block.num_frames; ++frame) {
      for (int64_t row = 0; row < block.num_rows; row += kTileRows) {
        for (int64_t column = 0; column < block.num_columns; column += kTileColumns) {
          const uint16_t* const from =
              x + frame * copied.frame_numbers + row * copied.row_numbers + column * kTileDepth;
          sum_tiles(convolution, copied, from, tiles, sums);
          if (both)
            sum_tiles(convolution, copied, from, tiles + convolution.numbers_of_16_outputs,
                      sums + kTileOutputs);
          finish(convolution, sums, block.frame + frame, block.row + row, block.column + column,
                 output);
        }
      }
    }
  }
  _tile_release();
}

}  // namespace sora::kernels::cpu
