// convolution.h block by block: on AMX, and on any processor with AVX-512 or AVX2.
//
// Note [Convolution by tiles]
// A block of frames, rows and columns of x is copied, with the pixels around it, so that 32
// channels of neighbouring pixels lie side by side: [frames][C/32][rows][columns][32]. Sixteen
// pixels of a row from any column on are then one tile of the matrix unit, whatever the tap: the
// block is the only copy, and all taps read it from the second-level cache. Four rows of sixteen
// pixels by sixteen outputs are summed at once, over all taps and channels, which takes five loads
// of tiles for four products; no sum leaves the registers before it is whole. Pairs of such sums
// get bias, the other operand and their type row by row, 32 outputs of a pixel at a time.
// A sum's order is that of taps and channels, wherever its pixel lies: how blocks are cut, and who
// computes them, changes no bit.
//
// Note [Convolution by multiply-adds]
// Without a matrix unit the same block is copied as f32, and a product is a multiply-add of f32: a
// channel of a pixel, broadcast as it is loaded, by a register of 16 outputs. Up to 14 pixels of a
// row by 32 outputs (with AVX2 6 by 16) are summed at once, 28 registers of sums (12), so that 16
// loads serve 28 multiply-adds (8 serve 12) and no other instruction needs their ports: the weights
// were widened before, a few steps (32 channels of a tap) at a time, which stay in the first-level
// cache while all pixels of the block go by. In between the sums wait in memory, f32 as they were
// in registers. A row is cut into groups of pixels as even as they come, so that none is summed in
// vain.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

constexpr int64_t kTileRows = 4, kTileColumns = 16;    // of pixels, summed at once by AMX
constexpr int64_t kTileDepth = 32, kTileOutputs = 16;  // channels of a tile, outputs of a tile
constexpr int64_t kTileNumbers = kTileDepth * kTileOutputs;
constexpr int64_t kOutputsAtOnce = 2 * kTileOutputs;  // finished together

// Where a pixel's channels are, in numbers.
struct FrameStrides {
  int64_t frame, row, column;
};

struct TileConvolution {
  const uint16_t* x;  // bf16 [frames,height,width,channels]
  int64_t height, width, channels;
  const uint16_t* tiles;  // of the first output and of the first tap that is summed
  int64_t numbers_of_16_outputs;
  int64_t taps, kernel_rows, kernel_columns, top, left;
  const float* bias;      // [outputs], zeros up to a multiple of 32
  const uint16_t* other;  // bf16; null: 0
  FrameStrides other_strides;
  uint16_t* y;  // bf16
  FrameStrides y_strides;
  int64_t out_height, out_width, outputs;
};

// Pixels of y, and a range of its outputs from a multiple of 32 on. Rows and columns are multiples
// of what AMX sums at once, or reach y's end.
struct ConvolutionBlock {
  int64_t frame, row, column;
  int64_t num_frames, num_rows, num_columns;
  int64_t first_output, last_output;
};

// Bytes of scratch memory, 64-byte aligned, for blocks of this size or less.
using ConvolutionScratch = int64_t(const TileConvolution& convolution, int64_t num_frames,
                                   int64_t num_rows, int64_t num_columns);
ConvolutionScratch convolution_scratch_amx;
ConvolutionScratch convolution_scratch_avx512;
ConvolutionScratch convolution_scratch_avx2;

using ConvolveBlock = void(const TileConvolution& convolution, const ConvolutionBlock& block,
                           void* scratch);
ConvolveBlock convolve_block_amx;
ConvolveBlock convolve_block_avx512;
ConvolveBlock convolve_block_avx2;

}  // namespace sora::kernels::cpu
