// bf16 attention of a group of queries on vector registers: products of 12 queries by 32 keys or
// columns, with AVX2 of 6 by 16. The unit that includes it says how a product is made, by a class
// `Registers` of such sums; each keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/attention_softmax.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/query_blocks.h"
#include "kernels/cpu/register_sums.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kRows = 48;  // of queries
constexpr int64_t kRowsInRegisters = kLanes == 16 ? 12 : 6;
constexpr int64_t kColumns = 2 * kLanes;  // of sums in registers
constexpr int64_t kTilesInChunk = 8;      // of keys
constexpr int64_t kPairs = kKeysInTile / 2;
constexpr int64_t kTile = kKeysInTile * 32;  // numbers

// Asks for kColumns pairs of numbers.
inline void ask_for_pairs(const uint16_t* pairs) {
#pragma GCC unroll 2
  for (int64_t i = 0; i < kColumns; i += 16) _mm_prefetch(pairs + 2 * i, _MM_HINT_T0);
}

// Scratch memory: scores of a tile, probabilities, and the blocks.
constexpr int64_t kScoreBytes = kRows * kKeysInTile * 4;

// `Registers` is a RegisterSums<kRowsInRegisters> that has
//   using Number = ...;  // of queries and probabilities: uint16_t (bf16) or float
//   // sums += x [rows, `stride` apart][2 count] times `right` [count][32][2], of which the first
//   // kColumns are read; as much from `next` on is asked for meanwhile.
//   void add(const Number* x, int64_t stride, const uint16_t* right, int64_t count,
//            const uint16_t* next);
template <typename Registers>
class Group {
 public:
  using Number = typename Registers::Number;

  Group(const AttentionGroup& group, void* scratch)
      : group_(group),
        whole_(whole_width(group.width)),
        scores_(static_cast<float*>(scratch)),
        probabilities_(reinterpret_cast<Number*>(static_cast<char*>(scratch) + kScoreBytes)),
        blocks_(group, static_cast<char*>(scratch) + kScoreBytes + kProbabilityBytes) {}

  static int64_t scratch_bytes(int64_t num_rows, int64_t width) {
    return kScoreBytes + kProbabilityBytes + Blocks::bytes(num_rows, width);
  }

  void run() const {
    blocks_.begin();
    for (int64_t first = 0; first < group_.num_tiles; first += kTilesInChunk) {
      const int64_t left = group_.num_tiles - first;
      const int64_t count = left < kTilesInChunk ? left : kTilesInChunk;
      for (int64_t b = 0; b < blocks_.count(); ++b)
        step(b, group_.tiles + first, count, first == 0);
    }
    blocks_.end();
  }

 private:
  // Of tile number t of the chunk; of the first one after the last.
  const uint16_t* keys_of(const int32_t* tiles, int64_t t, int64_t count) const {
    return static_cast<const uint16_t*>(group_.keys) +
           tiles[t < count ? t : 0] * whole_ * kKeysInTile;
  }
  const uint16_t* values_of(const int32_t* tiles, int64_t t, int64_t count, int64_t piece) const {
    return static_cast<const uint16_t*>(group_.values) +
           (tiles[t < count ? t : 0] * (whole_ / 32) + piece) * kTile;
  }

  using Blocks = QueryBlocks<kRows, Number>;
  static constexpr int64_t kProbabilityBytes =
      kTilesInChunk * kRows * kKeysInTile * static_cast<int64_t>(sizeof(Number));

  void step(int64_t b, const int32_t* tiles, int64_t count, bool first_chunk) const {
    const QueryBlock<Number> block = blocks_.at(b);
    const int64_t whole = whole_;
    TileSoftmax<kRows, 1, Number> softmax(group_, block.softmax, b * kRows, tiles, scores_,
                                          probabilities_);
    Registers registers;
    for (int64_t t = 0; t < count; ++t) {
      const uint16_t* const keys = keys_of(tiles, t, count);
      const uint16_t* const next = keys_of(tiles, t + 1, count);
      for (int64_t row = 0; row < kRows; row += kRowsInRegisters) {
        for (int64_t s = 0; s < kKeysInTile; s += kColumns) {
          registers.clear();
          registers.add(block.q + row * whole, whole, keys + 2 * s, whole / 2, next + 2 * s);
          registers.store(scores_ + row * kKeysInTile + s);
        }
      }
      softmax.add_tile();
      softmax.run(kRows);
    }
    blocks_.rescale(block, first_chunk);
    for (int64_t piece = 0; piece < whole / 32; ++piece) {
      for (int64_t row = 0; row < kRows; row += kRowsInRegisters) {
        for (int64_t column = 0; column < 32; column += kColumns) {
          float* const sums = block.sums + (piece * kRows + row) * 32 + column;
          first_chunk ? registers.clear() : registers.load(sums);
          for (int64_t t = 0; t < count; ++t) {
            registers.add(probabilities_ + (t * kRows + row) * kKeysInTile, kKeysInTile,
                          values_of(tiles, t, count, piece) + 2 * column, kPairs,
                          values_of(tiles, t + 1, count, piece) + 2 * column);
          }
          registers.store(sums);
        }
      }
    }
  }

  const AttentionGroup& group_;
  int64_t whole_;
  float* scores_;
  Number* probabilities_;
  Blocks blocks_;
};

}  // namespace
}  // namespace sora::kernels::cpu
