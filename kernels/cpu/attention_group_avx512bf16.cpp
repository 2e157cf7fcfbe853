// Packing for bf16 attention, and the attention itself on processors without a tile unit: products
// in registers of 12 queries by 32 keys or columns.

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/attention_softmax_avx512bf16.h"
#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/query_blocks_avx512bf16.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kRows = 48;  // of queries
constexpr int64_t kRowsInRegisters = 12;
constexpr int64_t kTilesInChunk = 8;  // of keys
constexpr int64_t kPairs = kKeysInTile / 2;
constexpr int64_t kTile = kKeysInTile * 32;  // numbers

inline __m512bh pair_of_all(const uint16_t* pair) {
  int bits;
  __builtin_memcpy(&bits, pair, sizeof bits);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(bits));
}

inline __m512bh pairs(const uint16_t* from) {
  return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from));
}

// sums [12][32] += x [12 rows, `stride` apart][2 count] times `right` [count][32][2].
struct Registers {
  __m512 sums[kRowsInRegisters][2];

  __attribute__((always_inline)) void clear() {
#pragma GCC unroll 12
    for (auto& row : sums) row[0] = row[1] = _mm512_setzero_ps();
  }
  __attribute__((always_inline)) void load(const float* from) {
#pragma GCC unroll 12
    for (int i = 0; i < kRowsInRegisters; ++i) {
      sums[i][0] = _mm512_load_ps(from + i * 32);
      sums[i][1] = _mm512_load_ps(from + i * 32 + kLanes);
    }
  }
  __attribute__((always_inline)) void store(float* to) const {
#pragma GCC unroll 12
    for (int i = 0; i < kRowsInRegisters; ++i) {
      _mm512_store_ps(to + i * 32, sums[i][0]);
      _mm512_store_ps(to + i * 32 + kLanes, sums[i][1]);
    }
  }
  __attribute__((always_inline)) void add(const uint16_t* x, int64_t stride, const uint16_t* right,
                                          int64_t count) {
    for (int64_t p = 0; p < count; ++p) {
      const __m512bh low = pairs(right + p * 64), high = pairs(right + p * 64 + 32);
#pragma GCC unroll 12
      for (int i = 0; i < kRowsInRegisters; ++i) {
        const __m512bh left = pair_of_all(x + i * stride + 2 * p);
        sums[i][0] = _mm512_dpbf16_ps(sums[i][0], left, low);
        sums[i][1] = _mm512_dpbf16_ps(sums[i][1], left, high);
      }
    }
  }
};

// Scratch memory: scores of a tile, probabilities, and the blocks.
constexpr int64_t kScoreBytes = kRows * kKeysInTile * 4;
constexpr int64_t kProbabilityBytes = kTilesInChunk * kRows * kKeysInTile * 2;

class Group {
 public:
  Group(const AttentionGroup& group, void* scratch)
      : group_(group),
        whole_(whole_width(group.width)),
        scores_(static_cast<float*>(scratch)),
        probabilities_(reinterpret_cast<uint16_t*>(static_cast<char*>(scratch) + kScoreBytes)),
        blocks_(group, static_cast<char*>(scratch) + kScoreBytes + kProbabilityBytes) {}

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
  void step(int64_t b, const int32_t* tiles, int64_t count, bool first_chunk) const {
    const QueryBlock block = blocks_.at(b);
    const int64_t whole = whole_;
    TileSoftmax<kRows, 1> softmax(group_, block.softmax, b * kRows, tiles, scores_, probabilities_);
    Registers registers;
    for (int64_t t = 0; t < count; ++t) {
      const auto* keys = static_cast<const uint16_t*>(group_.keys) + tiles[t] * whole * kKeysInTile;
      for (int64_t row = 0; row < kRows; row += kRowsInRegisters) {
        registers.clear();
        registers.add(block.q + row * whole, whole, keys, whole / 2);
        registers.store(scores_ + row * kKeysInTile);
      }
      softmax.add_tile();
      softmax.run(kRows);
    }
    blocks_.rescale(block, first_chunk);
    for (int64_t piece = 0; piece < whole / 32; ++piece) {
      for (int64_t row = 0; row < kRows; row += kRowsInRegisters) {
        float* sums = block.sums + (piece * kRows + row) * 32;
        first_chunk ? registers.clear() : registers.load(sums);
        for (int64_t t = 0; t < count; ++t) {
          registers.add(probabilities_ + (t * kRows + row) * kKeysInTile, kKeysInTile,
                        static_cast<const uint16_t*>(group_.values) +
                            (tiles[t] * (whole / 32) + piece) * kTile,
                        kPairs);
        }
        registers.store(sums);
      }
    }
  }

  const AttentionGroup& group_;
  int64_t whole_;
  float* scores_;
  uint16_t* probabilities_;
  QueryBlocks<kRows> blocks_;
};

}  // namespace

int64_t attention_scratch_avx512bf16(int64_t num_rows, int64_t width) {
  return kScoreBytes + kProbabilityBytes + QueryBlocks<kRows>::bytes(num_rows, width);
}

void attend_avx512bf16(const AttentionGroup& group, void* scratch) { Group(group, scratch).run(); }

void pack_keys_avx512bf16(const uint16_t* keys, int64_t stride, int64_t count, int64_t width,
                          uint16_t* tile) {
  const int64_t whole = whole_width(width);
  for (int64_t s = 0; s < kKeysInTile; s += kLanes) {
    for (int64_t k = 0; k < whole; k += 2 * kLanes) {
      const __mmask32 mask = first_of_32(width - k);
      __m512i rows[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        rows[i] = s + i < count ? _mm512_maskz_loadu_epi16(mask, keys + (s + i) * stride + k)
                                : _mm512_setzero_si512();
      }
      transpose(rows);
      for (int64_t p = 0; p < kLanes; ++p)
        _mm512_storeu_si512(tile + (k / 2 + p) * 64 + 2 * s, rows[p]);
    }
  }
}

void pack_values_avx512bf16(const uint16_t* values, int64_t stride, int64_t count, int64_t width,
                            uint16_t* tile) {
  const auto half_row = [&](int64_t s, int64_t k) {
    return s < count && k < width ? _mm512_cvtepu16_epi32(_mm256_loadu_si256(
                                        reinterpret_cast<const __m256i*>(values + s * stride + k)))
                                  : _mm512_setzero_si512();
  };
  for (int64_t k = 0; k < whole_width(width); k += kLanes) {
    uint16_t* piece = tile + k / 32 * kTile + 2 * (k % 32);
    for (int64_t p = 0; p < kPairs; ++p) {
      const __m512i both =
          _mm512_or_si512(half_row(2 * p, k), _mm512_slli_epi32(half_row(2 * p + 1, k), 16));
      _mm512_storeu_si512(piece + p * 64, both);
    }
  }
}

}  // namespace sora::kernels::cpu
