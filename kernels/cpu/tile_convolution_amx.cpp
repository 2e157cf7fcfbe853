#include "kernels/cpu/convolution_block.h"
#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/tile_config_amx.h"
#include "kernels/cpu/tile_convolution.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kSums = kTileRows * kTileColumns * kOutputsAtOnce;

constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// With the pixels that are summed beyond the last.
CopiedBlock copied_block(const TileConvolution& conv, int64_t num_frames, int64_t num_rows,
                         int64_t num_columns) {
  return CopiedBlock(conv, num_frames, round_up(num_rows, kTileRows),
                     round_up(num_columns, kTileColumns));
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
  constexpr int64_t kRow = kTileColumns * kOutputsAtOnce;
  constexpr int kBytesOfOutputs = kOutputsAtOnce * sizeof(float);
  _tile_stored(0, sums, kBytesOfOutputs);
  _tile_stored(1, sums + kRow, kBytesOfOutputs);
  _tile_stored(2, sums + 2 * kRow, kBytesOfOutputs);
  _tile_stored(3, sums + 3 * kRow, kBytesOfOutputs);
}

// y of four rows from the first on, as far as there are so many.
void finish(const TileConvolution& conv, const float* sums, const PixelRun& first,
            int64_t first_output) {
  const int64_t rows = conv.out_height - first.row;
  for (int64_t r = 0; r < kTileRows && r < rows; ++r)
    finish_pixels(conv, sums + r * kTileColumns * kOutputsAtOnce,
                  {first.frame, first.row + r, first.column, first.count}, first_output);
}

}  // namespace

int64_t convolution_scratch_amx(const TileConvolution& convolution, int64_t num_frames,
                                int64_t num_rows, int64_t num_columns) {
  const CopiedBlock copied = copied_block(convolution, num_frames, num_rows, num_columns);
  return static_cast<int64_t>(kSums * sizeof(float) + copied.numbers() * sizeof(uint16_t));
}

void convolve_block_amx(const TileConvolution& convolution, const ConvolutionBlock& block,
                        void* scratch) {
  float* const sums = static_cast<float*>(scratch);
  uint16_t* const x = reinterpret_cast<uint16_t*>(sums + kSums);
  const CopiedBlock copied =
      copied_block(convolution, block.num_frames, block.num_rows, block.num_columns);
  copy_block(convolution, block, copied, x);
  begin_tiles();
  for (int64_t output = block.first_output; output < block.last_output; output += kOutputsAtOnce) {
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
          const int64_t left = convolution.out_width - block.column - column;
          finish(convolution, sums,
                 {block.frame + frame, block.row + row, block.column + column,
                  left < kTileColumns ? left : kTileColumns},
                 output);
        }
      }
    }
  }
  _tile_release();
}

}  // namespace sora::kernels::cpu
