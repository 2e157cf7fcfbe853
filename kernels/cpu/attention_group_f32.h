// Attention of a group of queries in f32, for any width of vector register. The unit that includes
// it defines kLanes, the numbers in a register, and kRowsInRegisters, the rows of 2 kLanes sums
// that the registers hold besides their operands; each keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_group.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kRows = 24;  // of queries
constexpr int64_t kTilesInChunk = 8;
constexpr int64_t kTile = kKeysInTile * 32;
constexpr int64_t kColumns = 2 * kLanes;
constexpr float kHidden = -__builtin_inff();
static_assert(kRows % kRowsInRegisters == 0 && 32 % kColumns == 0);

using Vec = float __attribute__((vector_size(4 * kLanes), aligned(4)));
using IntVec = int32_t __attribute__((vector_size(4 * kLanes), aligned(4)));
#define SORA_INLINE inline __attribute__((always_inline))

SORA_INLINE Vec load(const float* from) { return *reinterpret_cast<const Vec*>(from); }
SORA_INLINE void store(float* to, Vec x) { *reinterpret_cast<Vec*>(to) = x; }
SORA_INLINE Vec all(float x) { return x - Vec{}; }

// 2^x within 2e-7 of itself for x <= 0, 0 at and below -127; see attention_softmax.h.
SORA_INLINE Vec power_of_two(Vec x) {
  constexpr float kCoefficients[] = {0.00132647F, 0.00967151F, 0.05550734F,
                                     0.24022242F, 0.69314698F, 1.0F};
  const Vec rounder = all(12582912.0F);  // 1.5 * 2^23
  x = x < all(-127.0F) ? all(-127.0F) : x;
  const Vec shifted = x + rounder;
  const Vec r = x - (shifted - rounder);
  Vec p = all(kCoefficients[0]);
  for (int i = 1; i < 6; ++i) p = p * r + all(kCoefficients[i]);
  return reinterpret_cast<Vec>(reinterpret_cast<IntVec>(p) +
                               (reinterpret_cast<IntVec>(shifted) << 23));
}

SORA_INLINE float largest(Vec x) {
  float top = x[0];
  for (int64_t i = 1; i < kLanes; ++i) top = x[i] > top ? x[i] : top;
  return top;
}
SORA_INLINE float sum(Vec x) {
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) x[i] += x[i + half];
  return x[0];
}

// The state of 24 queries between chunks; `sums` of [whole width / 32][24][32] numbers follow it.
struct alignas(64) Block {
  float m[kRows];  // the largest logit so far
  float total[kRows];
  float* sums() { return reinterpret_cast<float*>(this + 1); }
};

class Group {
 public:
  Group(const AttentionGroup& group, void* scratch)
      : group_(group),
        whole_(whole_width(group.width)),
        block_bytes_(static_cast<int64_t>(sizeof(Block)) + kRows * whole_ * 4),
        scores_(static_cast<float*>(scratch)),
        q_(scores_ + kTilesInChunk * kRows * kKeysInTile),
        blocks_(reinterpret_cast<char*>(q_ + kRows * whole_)) {}

  void run() const {
    const int64_t num_blocks = (group_.num_rows + kRows - 1) / kRows;
    for (int64_t b = 0; b < num_blocks; ++b) {
      for (int64_t row = 0; row < kRows; ++row) {
        at(b).m[row] = kHidden;
        at(b).total[row] = 0.0F;
      }
      for (int64_t i = 0; i < kRows * whole_; ++i) at(b).sums()[i] = 0.0F;
    }
    for (int64_t first = 0; first < group_.num_tiles; first += kTilesInChunk) {
      const int64_t left = group_.num_tiles - first;
      for (int64_t b = 0; b < num_blocks; ++b)
        step(b, group_.tiles + first, left < kTilesInChunk ? left : kTilesInChunk);
    }
    for (int64_t b = 0; b < num_blocks; ++b) end(b);
  }

 private:
  Block& at(int64_t b) const { return *reinterpret_cast<Block*>(blocks_ + b * block_bytes_); }

  int64_t rows_of(int64_t b) const {
    const int64_t left = group_.num_rows - b * kRows;
    return left < kRows ? left : kRows;
  }

  // sums [rows in registers][kColumns], 32 apart, += x [rows, `stride` apart][count] times right
  // [count][32].
  SORA_INLINE static void add(float* sums, bool clear, const float* x, int64_t stride,
                              const float* right, int64_t count) {
    Vec low[kRowsInRegisters], high[kRowsInRegisters];
#pragma GCC unroll 16
    for (int64_t i = 0; i < kRowsInRegisters; ++i) {
      low[i] = clear ? Vec{} : load(sums + i * 32);
      high[i] = clear ? Vec{} : load(sums + i * 32 + kLanes);
    }
    for (int64_t k = 0; k < count; ++k) {
      const Vec right_low = load(right + k * 32), right_high = load(right + k * 32 + kLanes);
#pragma GCC unroll 16
      for (int64_t i = 0; i < kRowsInRegisters; ++i) {
        const Vec left = all(x[i * stride + k]);
        low[i] += left * right_low;
        high[i] += left * right_high;
      }
    }
#pragma GCC unroll 16
    for (int64_t i = 0; i < kRowsInRegisters; ++i) {
      store(sums + i * 32, low[i]);
      store(sums + i * 32 + kLanes, high[i]);
    }
  }

  void step(int64_t b, const int32_t* tiles, int64_t count) const {
    const auto* q = static_cast<const float*>(group_.q) + b * kRows * group_.q_stride;
    const int64_t rows = rows_of(b);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t k = 0; k < whole_; ++k)
        q_[row * whole_ + k] = row < rows && k < group_.width ? q[row * group_.q_stride + k] : 0.0F;
    }
    for (int64_t t = 0; t < count; ++t) {
      const float* keys = static_cast<const float*>(group_.keys) + tiles[t] * whole_ * kKeysInTile;
      for (int64_t row = 0; row < kRows; row += kRowsInRegisters) {
        for (int64_t s = 0; s < kKeysInTile; s += kColumns) {
          add(scores_ + (t * kRows + row) * kKeysInTile + s, /*clear=*/true, q_ + row * whole_,
              whole_, keys + s, whole_);
        }
      }
    }
    Block& block = at(b);
    for (int64_t row = 0; row < rows; ++row) soften(block, b * kRows, row, tiles, count);
    for (int64_t piece = 0; piece < whole_ / 32; ++piece) {
      for (int64_t t = 0; t < count; ++t) {
        const float* values =
            static_cast<const float*>(group_.values) + (tiles[t] * (whole_ / 32) + piece) * kTile;
        for (int64_t row = 0; row < kRows; row += kRowsInRegisters) {
          for (int64_t k = 0; k < 32; k += kColumns) {
            add(block.sums() + (piece * kRows + row) * 32 + k, /*clear=*/false,
                scores_ + (t * kRows + row) * kKeysInTile, kKeysInTile, values + k, kKeysInTile);
          }
        }
      }
    }
  }

  // Scores of a row become its probabilities; what was summed before is scaled to the new largest
  // logit.
  void soften(Block& block, int64_t first_row, int64_t row, const int32_t* tiles,
              int64_t count) const {
    Vec highest = all(kHidden);
    for (int64_t t = 0; t < count; ++t) {
      float* scores = scores_ + (t * kRows + row) * kKeysInTile;
      to_logits(scores, first_row + row, tiles[t]);
      for (int64_t i = 0; i < kKeysInTile; i += kLanes) {
        const Vec x = load(scores + i);
        highest = x > highest ? x : highest;
      }
    }
    const float top = largest(highest), before = block.m[row];
    const float m = top > before ? top : before;
    const float base = m == kHidden ? 0.0F : m;  // where every key so far is hidden
    Vec total = {};
    for (int64_t t = 0; t < count; ++t) {
      float* scores = scores_ + (t * kRows + row) * kKeysInTile;
      for (int64_t i = 0; i < kKeysInTile; i += kLanes) {
        const Vec p = power_of_two(load(scores + i) - all(base));
        total += p;
        store(scores + i, p);
      }
    }
    const float factor = before == kHidden || m == before ? 1.0F : power_of_two(all(before - m))[0];
    block.m[row] = m;
    block.total[row] = block.total[row] * factor + sum(total);
    if (factor == 1.0F) return;
    for (int64_t k = 0; k < whole_; k += kLanes) {
      float* sums = block.sums() + (k / 32 * kRows + row) * 32 + k % 32;
      store(sums, load(sums) * factor);
    }
  }

  void to_logits(float* scores, int64_t row, int64_t tile) const {
    const float* bias = group_.bias != nullptr     ? group_.bias + tile * kKeysInTile
                        : tile == group_.last_tile ? group_.last_bias
                                                   : nullptr;
    const int64_t token = group_.first_token + row, first_key = tile * kKeysInTile;
    if (group_.scales_far) {
      for (int64_t i = 0; i < kKeysInTile; ++i) {
        const int64_t away = first_key + i - token;
        const bool far = away > group_.window || -away > group_.window;
        if (far && scores[i] > 0.0F) scores[i] *= group_.far_factor;
      }
    }
    for (int64_t i = 0; i < kKeysInTile; ++i) scores[i] *= group_.scale;
    if (bias == nullptr) return;
    for (int64_t i = 0; i < kKeysInTile; ++i) scores[i] += bias[i];
  }

  void end(int64_t b) const {
    Block& block = at(b);
    auto* out = static_cast<float*>(group_.out) + b * kRows * group_.out_stride;
    for (int64_t row = 0; row < rows_of(b); ++row) {
      const float inverse = 1.0F / block.total[row];
      for (int64_t k = 0; k < group_.width; ++k) {
        out[row * group_.out_stride + k] =
            block.sums()[(k / 32 * kRows + row) * 32 + k % 32] * inverse;
      }
    }
  }

  const AttentionGroup& group_;
  int64_t whole_, block_bytes_;
  float* scores_;  // [tile][24][32]
  float* q_;       // [24][whole width]
  char* blocks_;
};

#undef SORA_INLINE

}  // namespace
}  // namespace sora::kernels::cpu
