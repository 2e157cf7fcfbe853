// Packing for bf16 attention, and the attention itself on processors without a tile unit: products
// in registers of 12 queries by 32 keys or columns.

// gcc 12 takes the undefined pass-through operands of its own intrinsics for a mistake of the
// caller (bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/attention_softmax_avx512bf16.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kRows = 48;  // of queries
constexpr int64_t kRowsInRegisters = 12;
constexpr int64_t kTilesInChunk = 8;  // of keys
constexpr int64_t kLanes = 16;
constexpr int64_t kPairs = kKeysInTile / 2;
constexpr int64_t kTile = kKeysInTile * 32;  // numbers

// 16 x 16 numbers of 32 bits: r[j][i] <- r[i][j].
inline void transpose(__m512i (&r)[kLanes]) {
  __m512i t[kLanes];
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < kLanes; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  constexpr int kEven = 0x88, kOdd = 0xdd;  // 128-bit lanes 0 and 2, 1 and 3, of both operands
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], kEven);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], kOdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], kEven);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], kOdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], kEven);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], kOdd);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], kEven);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], kOdd);
  }
}

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

struct Layout {
  explicit Layout(int64_t width) : whole(whole_width(width)) {}
  int64_t q_bytes() const { return kRows * whole * 2; }
  int64_t sum_bytes() const { return kRows * whole * 4; }
  int64_t block_bytes() const {
    return q_bytes() + sum_bytes() + static_cast<int64_t>(sizeof(SoftmaxState));
  }
  static constexpr int64_t kScoreBytes = kTilesInChunk * kRows * kKeysInTile * 4;
  static constexpr int64_t kProbabilityBytes = kTilesInChunk * kRows * kKeysInTile * 2;
  int64_t whole;
};

// The state of 48 queries between chunks.
struct Block {
  uint16_t* q;  // [48][whole width]
  float* sums;  // [whole width / 32][48][32]
  SoftmaxRows softmax;
};

class Group {
 public:
  Group(const AttentionGroup& group, void* scratch)
      : group_(group),
        layout_(group.width),
        scores_(static_cast<float*>(scratch)),
        probabilities_(
            reinterpret_cast<uint16_t*>(static_cast<char*>(scratch) + Layout::kScoreBytes)),
        blocks_(static_cast<char*>(scratch) + Layout::kScoreBytes + Layout::kProbabilityBytes) {}

  void run() const {
    const int64_t num_blocks = (group_.num_rows + kRows - 1) / kRows;
    for (int64_t b = 0; b < num_blocks; ++b) begin(b);
    for (int64_t first = 0; first < group_.num_tiles; first += kTilesInChunk) {
      const int64_t left = group_.num_tiles - first;
      const int64_t count = left < kTilesInChunk ? left : kTilesInChunk;
      for (int64_t b = 0; b < num_blocks; ++b) step(b, group_.tiles + first, count, first == 0);
    }
    for (int64_t b = 0; b < num_blocks; ++b) end(b);
  }

 private:
  Block at(int64_t b) const {
    char* const memory = blocks_ + b * layout_.block_bytes();
    return {reinterpret_cast<uint16_t*>(memory),
            reinterpret_cast<float*>(memory + layout_.q_bytes()),
            SoftmaxRows(
                reinterpret_cast<SoftmaxState*>(memory + layout_.q_bytes() + layout_.sum_bytes()))};
  }

  int64_t rows_of(int64_t b) const {
    const int64_t left = group_.num_rows - b * kRows;
    return left < kRows ? left : kRows;
  }

  void begin(int64_t b) const {
    const Block block = at(b);
    const auto* q = static_cast<const uint16_t*>(group_.q) + b * kRows * group_.q_stride;
    const int64_t rows = rows_of(b);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t k = 0; k < layout_.whole; k += 32) {
        const int64_t left = row < rows ? group_.width - k : 0;
        const __mmask32 mask = left >= 32 ? 0xffffffffU : (1U << left) - 1;
        _mm512_store_si512(block.q + row * layout_.whole + k,
                           _mm512_maskz_loadu_epi16(mask, q + row * group_.q_stride + k));
      }
    }
    block.softmax.begin();
  }

  void step(int64_t b, const int32_t* tiles, int64_t count, bool first_chunk) const {
    const Block block = at(b);
    const int64_t whole = layout_.whole;
    TileSoftmax<kRows> softmax(group_, block.softmax, b * kRows, tiles, scores_, probabilities_);
    Registers registers;
    for (int64_t t = 0; t < count; ++t) {
      const auto* keys = static_cast<const uint16_t*>(group_.keys) + tiles[t] * whole * kKeysInTile;
      for (int64_t row = 0; row < kRows; row += kRowsInRegisters) {
        registers.clear();
        registers.add(block.q + row * whole, whole, keys, whole / 2);
        registers.store(scores_ + (t * kRows + row) * kKeysInTile);
      }
      softmax.add_tile();
      softmax.run(kRows);
    }
    if (block.softmax.take_rescaling()) rescale(block, first_chunk);
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

  void rescale(const Block& block, bool first_chunk) const {
    for (int64_t row = 0; row < kRows; ++row) {
      const __m512 factor = _mm512_set1_ps(block.softmax.take_rescaling(row));
      if (first_chunk) continue;  // nothing was summed yet
      for (int64_t k = 0; k < layout_.whole; k += kLanes) {
        float* sums = block.sums + (k / 32 * kRows + row) * 32 + k % 32;
        _mm512_store_ps(sums, _mm512_mul_ps(_mm512_load_ps(sums), factor));
      }
    }
  }

  void end(int64_t b) const {
    const Block block = at(b);
    auto* out = static_cast<uint16_t*>(group_.out) + b * kRows * group_.out_stride;
    for (int64_t row = 0; row < rows_of(b); ++row) {
      const __m512 inverse = _mm512_set1_ps(1.0F / block.softmax.sum(row));
      for (int64_t k = 0; k < group_.width; k += kLanes) {
        const float* sums = block.sums + (k / 32 * kRows + row) * 32 + k % 32;
        const __m512 all = group_.num_tiles == 0 ? _mm512_setzero_ps() : _mm512_load_ps(sums);
        _mm256_storeu_si256(
            reinterpret_cast<__m256i*>(out + row * group_.out_stride + k),
            reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_mul_ps(all, inverse))));
      }
    }
  }

  const AttentionGroup& group_;
  Layout layout_;
  float* scores_;
  uint16_t* probabilities_;
  char* blocks_;
};

}  // namespace

int64_t attention_scratch_avx512bf16(int64_t num_rows, int64_t width) {
  return Layout::kScoreBytes + Layout::kProbabilityBytes +
         (num_rows + kRows - 1) / kRows * Layout(width).block_bytes();
}

void attend_avx512bf16(const AttentionGroup& group, void* scratch) { Group(group, scratch).run(); }

void pack_keys_avx512bf16(const uint16_t* keys, int64_t stride, int64_t count, int64_t width,
                          uint16_t* tile) {
  const int64_t whole = whole_width(width);
  for (int64_t s = 0; s < kKeysInTile; s += kLanes) {
    for (int64_t k = 0; k < whole; k += 2 * kLanes) {
      const int64_t left = width - k;
      const __mmask32 mask = left >= 32 ? 0xffffffffU : (1U << left) - 1;
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
