// Note [Tile products] with both operands widened in the caches: bf16 to f32, for multiply-adds;
// int8 to 16 bits, for products of pairs of whole numbers. Included by units for AVX2 or AVX-512,
// each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/register_sums.h"
#include "kernels/cpu/tile_finish.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

// A wide piece has 32 bits where the narrow one has a number of bf16 or two of int8: a step.
constexpr int64_t kSteps = 32;            // of depth, in a piece
constexpr int64_t kPiecesInCache = 4;     // of a panel, in half of a first-level cache of 32 KB
constexpr int64_t kColumns = 2 * kLanes;  // of sums in registers

constexpr int64_t kMostRows = kLanes == 16 ? 8 : 6;  // of them

struct Bf16 {
  static constexpr bool kIsInt8 = false;

  // kLanes steps of a row of x.
  static Words widened_row(const char* steps) {
    return words_of(widened(reinterpret_cast<const uint16_t*>(steps)));
  }
  // The first and the second of two steps of kLanes columns, side by side.
  static Words even_steps(Words columns) { return words_of(even_of(columns)); }
  static Words odd_steps(Words columns) { return words_of(odd_of(columns)); }

  static Floats add_product(Floats sum, Floats x, Floats w) { return multiply_add(x, w, sum); }
};

struct Int8 {
  static constexpr bool kIsInt8 = true;

  static Words widened_row(const char* steps) { return widened_bytes(steps); }
  static Words even_steps(Words columns) { return even_byte_pairs(columns); }
  static Words odd_steps(Words columns) { return odd_byte_pairs(columns); }

  static Floats add_product(Floats sum, Floats x, Floats w) {
    return floats_of(add_words(words_of(sum), multiply_pairs(words_of(x), words_of(w))));
  }
};

// A piece of x: [32 rows][32 steps].
template <typename Type>
void widen_rows(const char* piece, float* wide) {
  for (int64_t i = 0; i < kSums; i += kLanes)
    store_floats(wide + i, floats_of(Type::widened_row(piece + 2 * i)));
}

// A piece of a panel: [32 steps][32 columns].
template <typename Type>
void widen_panel(const char* piece, float* wide) {
  for (int64_t two = 0; two < kSteps / 2; ++two, piece += 128, wide += 64) {
    for (int64_t i = 0; i < kPieceRows; i += kLanes) {
      const Words columns = load_words(piece + 4 * i);
      store_floats(wide + i, floats_of(Type::even_steps(columns)));
      store_floats(wide + kPieceRows + i, floats_of(Type::odd_steps(columns)));
    }
  }
}

// sums [kRows][kColumns] of `pieces` wide pieces of x, `stride` apart, and of a panel.
template <typename Type, int kRows>
void multiply_rows(const float* x, int64_t stride, const float* panel, int64_t pieces,
                   bool is_first, float* sums) {
  RegisterSums<kRows> registers;
  is_first ? registers.clear() : registers.load(sums);
  for (int64_t piece = 0; piece < pieces; ++piece, x += stride) {
    for (int64_t k = 0; k < kSteps; ++k, panel += kPieceRows) {
      _mm_prefetch(x + kRows * kSteps + k * 8, _MM_HINT_T0);  // of the next rows
      const Floats low = load_floats(panel), high = load_floats(panel + kLanes);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        const Floats left = splat(x[row * kSteps + k]);
        Floats(&sum)[2] = registers.sums[row];
        sum[0] = Type::add_product(sum[0], left, low);
        sum[1] = Type::add_product(sum[1], left, high);
      }
    }
  }
  registers.store(sums);
}

using MultiplyRows = void (*)(const float* x, int64_t stride, const float* panel, int64_t pieces,
                              bool is_first, float* sums);

// [rows - 1]
template <typename Type>
constexpr MultiplyRows kMultiplyRows[8] = {
    multiply_rows<Type, 1>, multiply_rows<Type, 2>, multiply_rows<Type, 3>, multiply_rows<Type, 4>,
    multiply_rows<Type, 5>, multiply_rows<Type, 6>, multiply_rows<Type, 7>, multiply_rows<Type, 8>};
static_assert(kMostRows <= 8);

// Rows 32 first_block to 32 (first_block + num_blocks), of which the first `rows` count, by columns
// 32 first_panel to 32 (first_panel + num_panels).
struct Part {
  int64_t first_block, num_blocks, rows;
  int64_t first_panel, num_panels;
};

// The operands that TileProduct has.
template <typename Type>
struct PackedOperands {
  using Arithmetic = Type;
  const char* x;
  const char* weight;
  int64_t pieces;

  void widen_rows(int64_t block, int64_t piece, float* wide) const {
    cpu::widen_rows<Type>(x + (block * pieces + piece) * kPieceSize, wide);
  }
  void widen_panel(int64_t panel, int64_t piece, float* wide) const {
    cpu::widen_panel<Type>(weight + (panel * pieces + piece) * kPieceSize, wide);
  }
};

// `Operands` have
//   using Arithmetic = ...;  // Bf16 or Int8
//   int64_t pieces;
//   void widen_rows(int64_t block, int64_t piece, float* wide) const;
//   void widen_panel(int64_t panel, int64_t piece, float* wide) const;
// and `finish` takes the sums of a panel as Finish does. Rows are cut into groups as even as they
// come. `scratch`: tile_product_scratch(pieces, num_panels) bytes.
template <typename Operands, typename Finisher>
void multiply(const Operands& operands, const Part& part, Finisher& finish, void* scratch) {
  using Type = typename Operands::Arithmetic;
  float* const wide_x = static_cast<float*>(scratch);  // [pieces of a pass][blocks][32][32]
  float* const wide_panel = wide_x + kMostBlocks * kWidePieces * kSums;
  float* const all_sums = wide_panel + kPiecesInCache * kSums;
  const bool one_pass = operands.pieces <= kWidePieces;
  const int64_t stride = part.num_blocks * kSums;
  const int64_t groups = (part.rows + kMostRows - 1) / kMostRows;
  for (int64_t pass = 0; pass < operands.pieces; pass += kWidePieces) {
    const int64_t left = operands.pieces - pass, count = left < kWidePieces ? left : kWidePieces;
    for (int64_t block = 0; block < part.num_blocks; ++block) {
      for (int64_t piece = 0; piece < count; ++piece)
        operands.widen_rows(part.first_block + block, pass + piece,
                            wide_x + piece * stride + block * kSums);
    }
    for (int64_t panel = 0; panel < part.num_panels; ++panel) {
      float* const sums = all_sums + (one_pass ? 0 : panel * kMostBlocks * kSums);
      for (int64_t begin = 0; begin < count; begin += kPiecesInCache) {
        const int64_t pieces = count - begin < kPiecesInCache ? count - begin : kPiecesInCache;
        for (int64_t piece = 0; piece < pieces; ++piece)
          operands.widen_panel(part.first_panel + panel, pass + begin + piece,
                               wide_panel + piece * kSums);
        for (int64_t group = 0; group < groups; ++group) {
          const int64_t row = group * part.rows / groups, end = (group + 1) * part.rows / groups;
          for (int64_t column = 0; column < kPieceRows; column += kColumns)
            kMultiplyRows<Type>[end - row - 1](wide_x + begin * stride + row * kSteps, stride,
                                               wide_panel + column, pieces, pass + begin == 0,
                                               sums + row * kPieceRows + column);
        }
      }
      if (pass + count == operands.pieces) {
        finish.begin(sums, part.first_panel + panel);
        finish.all();
      }
    }
  }
}

template <typename Type>
void multiply_tiles(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                    int64_t first_panel, int64_t num_panels, void* scratch) {
  const int64_t left = product.rows - first_block * kPieceRows, whole = num_blocks * kPieceRows;
  Finish<Type::kIsInt8> finish(product, first_block, num_blocks);
  multiply(PackedOperands<Type>{static_cast<const char*>(product.x),
                                static_cast<const char*>(product.weight), product.pieces},
           {first_block, num_blocks, left < whole ? left : whole, first_panel, num_panels}, finish,
           scratch);
}

}  // namespace
}  // namespace sora::kernels::cpu
