// Note [Convolution by tiles] on the vector units.

#include "kernels/cpu/tile_convolution_avx512bf16.h"

#include "kernels/cpu/intrinsics.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kTilesInCache = 9;  // of weights, twice, in a first-level cache of 32 KB
constexpr int kSteps = kTileDepth / 2;

// Adds the products of `depths` depths of a tap to the sums of kPixels pixels of a row from `x` on,
// of 16 or of 32 outputs, whose tiles are `further` apart.
template <int kPixels, int kOutputTiles>
void add_products(const TileConvolution& conv, const CopiedBlock& copied, const uint16_t* x,
                  const uint16_t* tile, int64_t further, int64_t depths, bool is_first,
                  float* sums) {
  __m512 sum[kOutputTiles][kPixels];
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 2
    for (int o = 0; o < kOutputTiles; ++o)
      sum[o][p] = is_first ? _mm512_setzero_ps()
                           : _mm512_load_ps(sums + p * kOutputsAtOnce + o * kTileOutputs);
  }
  for (int64_t depth = 0; depth < depths; ++depth, x += copied.depth_numbers) {
    for (int64_t column = 0; column < conv.kernel_columns; ++column) {
      const uint16_t* pixels = x + column * kTileDepth;
      for (int64_t i = 0; i < conv.kernel_rows;
           ++i, pixels += copied.row_numbers, tile += kTileNumbers) {
        for (int step = 0; step < kSteps; ++step) {
          __m512bh weight[kOutputTiles];
#pragma GCC unroll 2
          for (int o = 0; o < kOutputTiles; ++o)
            weight[o] = reinterpret_cast<__m512bh>(
                _mm512_load_si512(tile + o * further + step * 2 * kTileOutputs));
#pragma GCC unroll 16
          for (int p = 0; p < kPixels; ++p) {
            int32_t pair;
            __builtin_memcpy(&pair, pixels + p * kTileDepth + step * 2, sizeof pair);
            const __m512bh all = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 2
            for (int o = 0; o < kOutputTiles; ++o)
              sum[o][p] = _mm512_dpbf16_ps(sum[o][p], all, weight[o]);
          }
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 2
    for (int o = 0; o < kOutputTiles; ++o)
      _mm512_store_ps(sums + p * kOutputsAtOnce + o * kTileOutputs, sum[o][p]);
  }
}

// So many weights at a time as the first-level cache holds go past all pixels.
template <int kPixels, int kOutputTiles>
void sum_pixels(const TileConvolution& conv, const CopiedBlock& copied, const uint16_t* x,
                const uint16_t* tiles, Wanted wanted, float* sums) {
  const int64_t tiles_of_depth = conv.kernel_rows * conv.kernel_columns;
  const int64_t most = tiles_of_depth < kTilesInCache ? kTilesInCache / tiles_of_depth : 1;
  bool is_first = true;
  for (int64_t tap = 0; tap < conv.taps; ++tap) {
    for (int64_t depth = 0; depth < copied.depths; depth += most) {
      const int64_t depths = copied.depths - depth < most ? copied.depths - depth : most;
      const uint16_t* const plane = x + tap * copied.frame_numbers + depth * copied.depth_numbers;
      for (int64_t row = 0; row < wanted.rows; ++row) {
        for (int64_t column = 0; column < wanted.columns; column += kPixels) {
          add_products<kPixels, kOutputTiles>(
              conv, copied, plane + row * copied.row_numbers + column * kTileDepth, tiles,
              conv.numbers_of_16_outputs, depths, is_first,
              sums + (row * kTileColumns + column) * kOutputsAtOnce);
        }
      }
      tiles += depths * tiles_of_depth * kTileNumbers;
      is_first = false;
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

void convolve_block_avx512bf16(const TileConvolution& convolution, const ConvolutionBlock& block,
                               void* scratch) {
  convolve_block(convolution, block, scratch,
                 [&](const CopiedBlock& copied, const uint16_t* x, const uint16_t* tiles,
                     Wanted wanted, float* sums) {
                   const auto sum = wanted.both ? sum_pixels<8, 2> : sum_pixels<16, 1>;
                   sum(convolution, copied, x, tiles, wanted, sums);
                 });
}

}  // namespace sora::kernels::cpu
