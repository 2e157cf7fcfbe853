// Matrix products from operands that lie as the processor reads them, in bf16, or in int8 with a
// scale for each row of x and each column of y.
//
// Note [Tile products]
// Both operands are made of pieces of 2 KB: 32 rows of x by 64 bytes of depth; 64 bytes of depth by
// 32 columns of W^T, four bytes of depth of each column side by side. On AMX two pieces make four
// products of the tile unit, for two loads of 1 KB each from either, which just keeps it busy from
// the first-level cache. So 512 numbers of depth of 32 columns stay in that cache while up to 256
// rows of x pass by from the second level, and the columns after them are fetched meanwhile. The
// sums of finished columns get bias, scale and activation row by row between the products of the
// next ones, on the vector units.
// With AVX512-BF16 and VNNI the same pieces feed the dot products of the vector units: 8 rows by 32
// columns of sums in registers, ten loads for sixteen products. Where dot products are slow or
// missing, both operands are widened in the caches, those of x once for all panels, those of a
// panel once for all rows, bf16 to f32 for multiply-adds, int8 to 16 bits for products of pairs:
// with AVX2 6 rows by 16 columns of sums in registers, eight loads for twelve products.
// Each sum is made in the order of the depth, whoever computes it: the result has the same bytes
// however the work is shared out. Sums of int8 products are whole numbers, the same in every form.
#pragma once

#include <cstdint>

#include "kernels/cpu/sigmoid_gate.h"

namespace sora::kernels::cpu {

constexpr int64_t kPieceRows = 32;   // rows of x or columns of y in a piece
constexpr int64_t kPieceBytes = 64;  // of depth
constexpr int64_t kMostBlocks = 8;   // of 32 rows, in a call
constexpr int64_t kPieceSize = kPieceRows * kPieceBytes;

struct TileProduct {
  const void* x;       // [blocks][pieces][32][64 bytes]
  const void* weight;  // [panels][pieces][16][32][4 bytes]
  int64_t pieces;
  const float* bias;  // [32 panels]; null: 0
  // int8 only.
  const float* row_scale;        // [32 blocks]
  const float* column_scale;     // [32 panels]
  const int32_t* column_offset;  // [32 panels], taken off the sums; null: 0
  SigmoidGate gate;
  int64_t rows, columns;
  uint16_t* y;         // bf16 [rows][columns]; null where packed_y is wanted
  uint16_t* packed_y;  // the bf16 x of another product: [blocks][panels][32][64 bytes]
};

// Rows 32 first_block to 32 (first_block + num_blocks), at most kMostBlocks of them, by columns 32
// first_panel to 32 (first_panel + num_panels). `scratch` is 64-byte aligned.
using MultiplyTiles = void(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                           int64_t first_panel, int64_t num_panels, void* scratch);
MultiplyTiles multiply_tiles_bf16_amx;
MultiplyTiles multiply_tiles_int8_amx;
MultiplyTiles multiply_tiles_bf16_avx512bf16;
MultiplyTiles multiply_tiles_bf16_avx512;
MultiplyTiles multiply_tiles_bf16_avx2;
MultiplyTiles multiply_tiles_int8_avx512bf16;  // x biased
MultiplyTiles multiply_tiles_int8_avx512;
MultiplyTiles multiply_tiles_int8_avx2;
MultiplyTiles multiply_tiles_int8;   // on any processor
constexpr int64_t kWidePieces = 16;  // of x, in f32 in a second-level cache of 1 MB
// Bytes of it, of any form.
int64_t tile_product_scratch(int64_t pieces, int64_t num_panels);

// Operands. Beyond `rows` and `depth` they are zero. `stride` in numbers.
// Block of x: up to 32 rows of bf16.
using PackRows = void(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth, void* block);
PackRows pack_rows_avx2;
PackRows pack_rows_avx512;
// The same in int8, rounded(x * (127 / m)), where m is the row's largest magnitude and m / 127 its
// scale; below 1e-30 a row counts as 0. With `biased` 128 is added to each number, for a processor
// that multiplies unsigned ones with signed ones.
using QuantiseRows = void(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth,
                          bool biased, void* block, float* scale);
QuantiseRows quantise_rows;
QuantiseRows quantise_rows_avx2;
QuantiseRows quantise_rows_avx512;
// Panel: up to 32 rows of a weight [N, K], as pack_rows and quantise_rows take them.
using PackPanel = void(const uint16_t* weight, int64_t stride, int64_t columns, int64_t depth,
                       void* panel);
PackPanel pack_panel_avx2;
PackPanel pack_panel_avx512;
// int8; `offset` is 128 times the sum of each of its 32 columns.
void quantise_panel(const uint16_t* weight, int64_t stride, int64_t columns, int64_t depth,
                    void* panel, float* scale, int32_t* offset);

}  // namespace sora::kernels::cpu
