// Packing for bf16 attention, and the attention itself by multiply-adds of f32: keys and values
// stay bf16 in memory and become f32 in registers.

#include "kernels/cpu/attention_registers_avx512.h"

namespace sora::kernels::cpu {
namespace {

struct MultiplyAdds : RegisterSums<kRowsInRegisters> {
  using Number = float;

  __attribute__((always_inline)) void add(const float* x, int64_t stride, const uint16_t* right,
                                          int64_t count, const uint16_t* next) {
    for (int64_t p = 0; p < count; ++p) {
      ask_for_pairs(next + p * 64);
      const __m512i low = _mm512_loadu_si512(right + p * 64),
                    high = _mm512_loadu_si512(right + p * 64 + 32);
      multiply_add(x + 2 * p, stride, even_of(low), even_of(high));
      multiply_add(x + 2 * p + 1, stride, odd_of(low), odd_of(high));
    }
  }
};

}  // namespace

int64_t attention_scratch_bf16_avx512(int64_t num_rows, int64_t width) {
  return Group<MultiplyAdds>::scratch_bytes(num_rows, width);
}

void attend_bf16_avx512(const AttentionGroup& group, void* scratch) {
  Group<MultiplyAdds>(group, scratch).run();
}

void pack_keys_bf16_avx512(const uint16_t* keys, int64_t stride, int64_t count, int64_t width,
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

void pack_values_bf16_avx512(const uint16_t* values, int64_t stride, int64_t count, int64_t width,
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
