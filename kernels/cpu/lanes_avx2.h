// lanes.h with 8 numbers in a register, for AVX2.
#pragma once

#include <cstdint>

#include "kernels/cpu/intrinsics.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kLanes = 8;
using Floats = __m256;
using Words = __m256i;                           // of 32 bits
constexpr int64_t kRegistersOf32 = 32 / kLanes;  // numbers

inline Floats zeros() { return _mm256_setzero_ps(); }
inline Floats splat(float x) { return _mm256_set1_ps(x); }
// From memory and to it, aligned.
inline Floats load_floats(const float* from) { return _mm256_load_ps(from); }
inline void store_floats(float* to, Floats x) { _mm256_store_ps(to, x); }
// At any address.
inline Floats load_any(const float* from) { return _mm256_loadu_ps(from); }
inline Words load_words(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
inline void store_words(void* to, Words x) { _mm256_storeu_si256(static_cast<__m256i*>(to), x); }
inline Floats multiply_add(Floats x, Floats y, Floats z) { return _mm256_fmadd_ps(x, y, z); }
// The second where either is no number.
inline Floats larger(Floats x, Floats y) { return _mm256_max_ps(x, y); }
inline Words words_of(Floats x) { return _mm256_castps_si256(x); }
inline Floats floats_of(Words x) { return _mm256_castsi256_ps(x); }

// kLanes numbers of bf16 in f32.
inline Floats widened(const uint16_t* from) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
// kLanes numbers, of which the first `count` are in memory; the others are zeros.
inline Floats load_first(const float* from, int64_t count) {
  if (count >= kLanes) return load_any(from);
  float first[kLanes] = {};
  if (count > 0) __builtin_memcpy(first, from, static_cast<size_t>(count) * sizeof *first);
  return load_any(first);
}
inline Floats load_first(const uint16_t* from, int64_t count) {
  if (count >= kLanes) return widened(from);
  uint16_t first[kLanes] = {};
  if (count > 0) __builtin_memcpy(first, from, static_cast<size_t>(count) * sizeof *first);
  return widened(first);
}
// kLanes pairs of bf16, of which the first `count` numbers are in memory; the others are zeros.
inline Words load_pairs(const uint16_t* from, int64_t count) {
  if (count >= 2 * kLanes) return load_words(from);
  uint16_t first[2 * kLanes] = {};
  if (count > 0) __builtin_memcpy(first, from, static_cast<size_t>(count) * sizeof *first);
  return load_words(first);
}
// The even and the odd numbers of kLanes pairs of bf16.
inline Floats even_of(Words pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
inline Floats odd_of(Words pairs) {
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-0x10000)));
}

// The upper halves are bf16, rounded to nearest, ties to even; a NaN stays one.
inline __m256i rounded_words(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(1 << 22));
  const __m256 is_nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  return _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, _mm256_castps_si256(is_nan)), 16);
}

// Pairs of kLanes numbers of bf16 that were widened.
inline Words as_pairs(Floats first, Floats second) {
  return _mm256_or_si256(_mm256_srli_epi32(words_of(first), 16), words_of(second));
}

// 32 numbers of bf16 of which the first `count` are in memory; the others are zeros.
inline void load_bf16(const uint16_t* from, int64_t count, Floats (&x)[kRegistersOf32]) {
  uint16_t first[32] = {};
  if (count < 32) {
    if (count > 0) __builtin_memcpy(first, from, static_cast<size_t>(count) * sizeof *first);
    from = first;
  }
#pragma GCC unroll 4
  for (int64_t i = 0; i < kRegistersOf32; ++i) x[i] = widened(from + i * kLanes);
}
// kLanes numbers, rounded to bf16.
inline void store_bf16(uint16_t* to, Floats x) {
  const __m128i low = _mm256_castsi256_si128(rounded_words(x)),
                high = _mm256_extracti128_si256(rounded_words(x), 1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_packus_epi32(low, high));
}
// The first `count` of 32 numbers, rounded to bf16.
inline void store_bf16(uint16_t* to, int64_t count, const Floats (&x)[kRegistersOf32]) {
  constexpr int kInOrder = 0xd8;  // quarters 0, 2, 1, 3
  uint16_t first[32];
  uint16_t* const all = count < 32 ? first : to;
#pragma GCC unroll 4
  for (int64_t i = 0; i < kRegistersOf32; i += 2) {
    const __m256i mixed = _mm256_packus_epi32(rounded_words(x[i]), rounded_words(x[i + 1]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(all + i * kLanes),
                        _mm256_permute4x64_epi64(mixed, kInOrder));
  }
  if (count < 32) __builtin_memcpy(to, first, static_cast<size_t>(count) * sizeof *to);
}

// kLanes whole numbers of 32 bits, whose bits `sums` are, less `offset` (null: 0).
inline Floats whole_numbers(Floats sums, const int32_t* offset) {
  Words whole = _mm256_castps_si256(sums);
  if (offset != nullptr) whole = _mm256_sub_epi32(whole, load_words(offset));
  return _mm256_cvtepi32_ps(whole);
}

// 2 kLanes whole numbers of 8 bits in 16.
inline Words widened_bytes(const void* from) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(from)));
}
// The first two, and the last two, of kLanes times four numbers of 8 bits, in 16.
inline Words even_byte_pairs(Words fours) {
  const Words upper =
      _mm256_shuffle_epi8(fours, _mm256_broadcastsi128_si256(_mm_setr_epi8(
                                     -1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13)));
  return _mm256_srai_epi16(upper, 8);
}
inline Words odd_byte_pairs(Words fours) {
  const Words upper =
      _mm256_shuffle_epi8(fours, _mm256_broadcastsi128_si256(_mm_setr_epi8(
                                     -1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15)));
  return _mm256_srai_epi16(upper, 8);
}
// Sums of the products of pairs of whole numbers of 16 bits.
inline Words multiply_pairs(Words x, Words y) { return _mm256_madd_epi16(x, y); }
inline Words add_words(Words x, Words y) { return _mm256_add_epi32(x, y); }

// The largest number of a register.
inline float largest_of(Floats x) {
  float lanes[kLanes];
  _mm256_storeu_ps(lanes, x);
  float top = lanes[0];
  for (int i = 1; i < kLanes; ++i) top = lanes[i] > top ? lanes[i] : top;
  return top;
}
// The sum of 16 numbers, of halves each time.
inline float sum_of_16(const float* from) {
  const Floats eight = load_floats(from) + load_floats(from + kLanes);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// 8 x 8 numbers of 32 bits: r[j][i] <- r[i][j].
inline void transpose(Words (&r)[kLanes]) {
  Words t[kLanes];
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < kLanes; i += 4) {
    r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  constexpr int kLow = 0x20, kHigh = 0x31;  // 128-bit halves of both operands
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_permute2x128_si256(r[i], r[i + 4], kLow);
    t[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], kHigh);
  }
  for (int i = 0; i < kLanes; ++i) r[i] = t[i];
}

}  // namespace
}  // namespace sora::kernels::cpu
