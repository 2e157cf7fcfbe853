// lanes.h with 16 numbers in a register, for AVX-512, and what the forms for AVX-512 alone need
// besides: masks of the numbers that count.
#pragma once

#include <cstdint>

#include "kernels/cpu/intrinsics.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kLanes = 16;
using Floats = __m512;
using Words = __m512i;                           // of 32 bits
constexpr int64_t kRegistersOf32 = 32 / kLanes;  // numbers

inline Floats zeros() { return _mm512_setzero_ps(); }
inline Floats splat(float x) { return _mm512_set1_ps(x); }
// From memory and to it, aligned.
inline Floats load_floats(const float* from) { return _mm512_load_ps(from); }
inline void store_floats(float* to, Floats x) { _mm512_store_ps(to, x); }
// At any address.
inline Floats load_any(const float* from) { return _mm512_loadu_ps(from); }
inline Words load_words(const void* from) { return _mm512_loadu_si512(from); }
inline void store_words(void* to, Words x) { _mm512_storeu_si512(to, x); }
inline Floats multiply_add(Floats x, Floats y, Floats z) { return _mm512_fmadd_ps(x, y, z); }
// The second where either is no number.
inline Floats larger(Floats x, Floats y) { return _mm512_max_ps(x, y); }
inline Words words_of(Floats x) { return _mm512_castps_si512(x); }
inline Floats floats_of(Words x) { return _mm512_castsi512_ps(x); }

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
inline Floats widened(const uint16_t* from) {
  return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
// The first `count` of them, and zeros.
inline __m512 widened(const uint16_t* x, int64_t count) {
  return widened(_mm256_maskz_loadu_epi16(first_of_16(count), x));
}

// kLanes numbers, of which the first `count` are in memory; the others are zeros.
inline Floats load_first(const float* from, int64_t count) {
  return _mm512_maskz_loadu_ps(first_of_16(count), from);
}
inline Floats load_first(const uint16_t* from, int64_t count) { return widened(from, count); }
// kLanes pairs of bf16, of which the first `count` numbers are in memory; the others are zeros.
inline Words load_pairs(const uint16_t* from, int64_t count) {
  return _mm512_maskz_loadu_epi16(first_of_32(count), from);
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

// Pairs of kLanes numbers of bf16 that were widened.
inline Words as_pairs(Floats first, Floats second) {
  return _mm512_or_si512(_mm512_srli_epi32(words_of(first), 16), words_of(second));
}

// 32 numbers of bf16 of which the first `count` are in memory; the others are zeros.
inline void load_bf16(const uint16_t* from, int64_t count, Floats (&x)[kRegistersOf32]) {
  const __m512i bf16 = _mm512_maskz_loadu_epi16(first_of_32(count), from);
  x[0] = widened(_mm512_castsi512_si256(bf16));
  x[1] = widened(_mm512_extracti64x4_epi64(bf16, 1));
}
// kLanes numbers, rounded to bf16.
inline void store_bf16(uint16_t* to, Floats x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), rounded(x));
}
// The first `count` of 32 numbers, rounded to bf16.
inline void store_bf16(uint16_t* to, int64_t count, const Floats (&x)[kRegistersOf32]) {
  _mm512_mask_storeu_epi16(to, first_of_32(count), rounded(x[0], x[1]));
}

// kLanes whole numbers of 32 bits, whose bits `sums` are, less `offset` (null: 0).
inline Floats whole_numbers(Floats sums, const int32_t* offset) {
  Words whole = _mm512_castps_si512(sums);
  if (offset != nullptr) whole = _mm512_sub_epi32(whole, load_words(offset));
  return _mm512_cvtepi32_ps(whole);
}

// 2 kLanes whole numbers of 8 bits in 16.
inline Words widened_bytes(const void* from) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
}
// The first two, and the last two, of kLanes times four numbers of 8 bits, in 16.
inline Words even_byte_pairs(Words fours) {
  const Words upper =
      _mm512_shuffle_epi8(fours, _mm512_broadcast_i32x4(_mm_setr_epi8(
                                     -1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13)));
  return _mm512_srai_epi16(upper, 8);
}
inline Words odd_byte_pairs(Words fours) {
  const Words upper =
      _mm512_shuffle_epi8(fours, _mm512_broadcast_i32x4(_mm_setr_epi8(
                                     -1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15)));
  return _mm512_srai_epi16(upper, 8);
}
// Sums of the products of pairs of whole numbers of 16 bits.
inline Words multiply_pairs(Words x, Words y) { return _mm512_madd_epi16(x, y); }
inline Words add_words(Words x, Words y) { return _mm512_add_epi32(x, y); }

// The largest number of a register.
inline float largest_of(Floats x) { return _mm512_reduce_max_ps(x); }
// The sum of 16 numbers, of halves each time.
inline float sum_of_16(const float* from) { return _mm512_reduce_add_ps(load_floats(from)); }

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
