// Packing for bf16 attention, and the attention itself by multiply-adds of f32: keys and values
// stay bf16 in memory and become f32 in registers. Included by units for AVX2 or AVX-512, each of
// which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_registers.h"

namespace sora::kernels::cpu {
namespace {

struct MultiplyAdds : RegisterSums<kRowsInRegisters> {
  using Number = float;

  __attribute__((always_inline)) void add(const float* x, int64_t stride, const uint16_t* right,
                                          int64_t count, const uint16_t* next) {
    for (int64_t p = 0; p < count; ++p) {
      ask_for_pairs(next + p * 64);
      const Words low = load_words(right + p * 64), high = load_words(right + p * 64 + 2 * kLanes);
      multiply_add(x + 2 * p, stride, even_of(low), even_of(high));
      multiply_add(x + 2 * p + 1, stride, odd_of(low), odd_of(high));
    }
  }
};

// `count` of 32 rows of `width` numbers, `stride` apart: [whole width / 2][32][2], zero beyond
// them.
inline void pack_keys(const uint16_t* keys, int64_t stride, int64_t count, int64_t width,
                      uint16_t* tile) {
  const int64_t whole = whole_width(width);
  for (int64_t s = 0; s < kKeysInTile; s += kLanes) {
    for (int64_t k = 0; k < whole; k += 2 * kLanes) {
      Words pairs[kLanes];
      for (int64_t i = 0; i < kLanes; ++i)
        pairs[i] = load_pairs(keys + (s + i) * stride + k, s + i < count ? width - k : 0);
      transpose(pairs);
      for (int64_t p = 0; p < kLanes; ++p) store_words(tile + (k / 2 + p) * 64 + 2 * s, pairs[p]);
    }
  }
}

// `count` of 32 values of `width` numbers, `stride` apart: [whole width / 32][16][32][2], pairs of
// values side by side, zero beyond them.
inline void pack_values(const uint16_t* values, int64_t stride, int64_t count, int64_t width,
                        uint16_t* tile) {
  const auto row = [&](int64_t s, int64_t k) {
    return s < count && k < width ? widened(values + s * stride + k) : zeros();
  };
  for (int64_t k = 0; k < whole_width(width); k += kLanes) {
    uint16_t* const piece = tile + k / 32 * kTile + 2 * (k % 32);
    for (int64_t p = 0; p < kPairs; ++p)
      store_words(piece + p * 64, as_pairs(row(2 * p, k), row(2 * p + 1, k)));
  }
}

}  // namespace
}  // namespace sora::kernels::cpu
