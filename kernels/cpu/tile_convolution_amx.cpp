// Note [Convolution by tiles] on the matrix unit.

#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/tile_config_amx.h"
#include "kernels/cpu/tile_convolution_avx512bf16.h"

namespace sora::kernels::cpu {
namespace {

// Sums [4][16 pixels][16 outputs] of four rows from `x` on, a pixel's outputs 32 numbers apart.
void sum_tiles(const TileConvolution& conv, const CopiedBlock& copied, const uint16_t* x,
               const uint16_t* tile, float* sums) {
  constexpr int kBytesOfDepth = kTileDepth * sizeof(uint16_t);
  const int64_t row = copied.row_numbers;
  finish_stores();
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

}  // namespace

void convolve_block_amx(const TileConvolution& convolution, const ConvolutionBlock& block,
                        void* scratch) {
  begin_tiles();
  convolve_block(convolution, block, scratch,
                 [&](const CopiedBlock& copied, const uint16_t* x, const uint16_t* tiles,
                     Wanted wanted, float* sums) {
                   sum_tiles(convolution, copied, x, tiles, sums);
                   if (wanted.both)
                     sum_tiles(convolution, copied, x, tiles + convolution.numbers_of_16_outputs,
                               sums + kTileOutputs);
                 });
  _tile_release();
}

}  // namespace sora::kernels::cpu
