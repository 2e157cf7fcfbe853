// Registers of 16 numbers of 32 bits: how many of them count, bf16 numbers in them, and 16
// registers transposed. Included by units for AVX-512 only, each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/intrinsics.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kLanes = 16;

// The first `count` of 16 numbers of 32 bits, or of 32 of 16 bits; none below 0, all beyond the
// last.
inline __mmask16 first_of_16(int64_t count) {
  return count >= 16 ? 0xffff : count <= 0 ? 0 : (1U << count) - 1;
}
inline __mmask32 first_of_32(int64_t count) {
  return count >= 32 ? 0xffffffffU : count <= 0 ? 0 : (1U << count) - 1;
}

// 16 numbers of bf16 in f32.
inline __m512 widened(__m256i x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
// The first `count` of them, and zeros.
inline __m512 widened(const uint16_t* x, int64_t count) {
  return widened(_mm256_maskz_loadu_epi16(first_of_16(count), x));
}

// The even and the odd numbers of 16 pairs of bf16.
inline __m512 even_of(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
inline __m512 odd_of(__m512i pairs) {
  return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-0x10000)));
}

// 16 numbers of f32 in bf16, rounded to nearest, ties to even; a NaN stays one. Denormals are zeros
// where the processor rounds by itself.
inline __m256i rounded(__m512 x) {
#ifdef __AVX512BF16__
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
#else
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(
      _mm512_srli_epi32(_mm512_mask_or_epi32(up, is_nan, bits, _mm512_set1_epi32(1 << 22)), 16));
#endif
}
// 32 of them, `low` first.
inline __m512i rounded(__m512 low, __m512 high) {
#ifdef __AVX512BF16__
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
#else
  return _mm512_inserti64x4(_mm512_castsi256_si512(rounded(low)), rounded(high), 1);
#endif
}

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

}  // namespace
}  // namespace sora::kernels::cpu
