#include "kernels/cpu/flash_rows.h"

// gcc 12 takes the undefined pass-through operands of its own intrinsics for a mistake of the
// caller (bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop


namespace sora::kernels::cpu {
namespace {

constexpr int64_t kLanes = 16;
// Of degree 4, highest power first.
constexpr float kPowerOfTwo[] = {9.5701003e-3F, 5.5917859e-2F, 0.24024744F, 0.69312179F,
                                 0.99999928F};
constexpr float kMinusInfinity = -__builtin_inff();

__mmask16 first(int64_t lanes) {
  return static_cast<__mmask16>(lanes >= kLanes ? 0xffff : (1U << lanes) - 1);
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

// 2^x for x <= 0, within 4e-6 of itself, of which rounding to bf16 leaves nothing; 0 below the
// smallest normal number. Adding kRounder leaves x rounded to a whole n in the low bits; 2^(x - n)
// is a polynomial fitted on [-1/2, 1/2].
inline __m512 power_of_two(__m512 x) {
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23
  const __m512 rounder = _mm512_set1_ps(kRounder);
  const __mmask16 normal =
      _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0F), _CMP_NLT_UQ);  // a NaN stays one
  const __m512 shifted = _mm512_add_ps(x, rounder);
  const __m512 r = _mm512_sub_ps(x, _mm512_sub_ps(shifted, rounder));
  __m512 p = _mm512_set1_ps(kPowerOfTwo[0]);
  for (int i = 1; i < 5; ++i) p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(kPowerOfTwo[i]));
  const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
  return _mm512_castsi512_ps(_mm512_maskz_add_epi32(normal, _mm512_castps_si512(p), exponent));
}

inline void store_bf16(uint16_t* to, __m512 x, __mmask16 mask) {
  _mm256_mask_storeu_epi16(to, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}

template <bool kBiased>
inline float soften(const float* scores, float scale, const float* bias, int64_t count,
                    RunningSoftmax& state, uint16_t* probabilities) {
  const __m512 factor = _mm512_set1_ps(scale);
  // Without a bias the largest score is the largest logit, and the factor can wait.
  const auto compared = [&](int64_t i) {
    const __m512 score = _mm512_loadu_ps(scores + i);
    return kBiased ? _mm512_fmadd_ps(score, factor, _mm512_loadu_ps(bias + i)) : score;
  };
  __m512 largest[2] = {compared(0), compared(count - kLanes)};
  int64_t i = kLanes;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    largest[0] = _mm512_max_ps(largest[0], compared(i));
    largest[1] = _mm512_max_ps(largest[1], compared(i + kLanes));
  }
  const float block_max =
      _mm512_reduce_max_ps(_mm512_max_ps(largest[0], largest[1])) * (kBiased ? 1.0F : scale);
  const float max = block_max > state.max ? block_max : state.max;
  if (max == kMinusInfinity) {  // every key so far is hidden
    for (int64_t k = 0; k < count; ++k) probabilities[k] = 0;
    return 1.0F;
  }
  const __m512 minus_max = _mm512_set1_ps(-max);
  const auto power = [&](int64_t k) {
    const __m512 logit = _mm512_fmadd_ps(_mm512_loadu_ps(scores + k), factor, minus_max);
    const __m512 p =
        power_of_two(kBiased ? _mm512_add_ps(logit, _mm512_loadu_ps(bias + k)) : logit);
    store_bf16(probabilities + k, p, 0xffff);
    return p;
  };
  __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    sums[0] = _mm512_add_ps(sums[0], power(i));
    sums[1] = _mm512_add_ps(sums[1], power(i + kLanes));
  }
  if (i < count) sums[0] = _mm512_add_ps(sums[0], power(i));
  const float earlier = _mm512_cvtss_f32(power_of_two(_mm512_set1_ps(state.max - max)));
  state = {max, state.sum * earlier + _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))};
  return earlier;
}

}  // namespace

void pack_keys_avx512bf16(const uint16_t* keys, int64_t stride, int64_t count, int64_t width,
                          int64_t padded, uint16_t* packed) {
  const int64_t pairs = width / 2;
  for (int64_t s = 0; s < padded; s += kLanes) {
    for (int64_t p = 0; p < pairs; p += kLanes) {
      const __mmask16 mask = first(pairs - p);
      __m512i rows[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) {
        rows[i] = s + i < count ? _mm512_maskz_loadu_epi32(mask, keys + (s + i) * stride + 2 * p)
                                : _mm512_setzero_si512();
      }
      transpose(rows);
      for (int64_t j = 0; j < kLanes && p + j < pairs; ++j) {
        _mm512_storeu_si512(packed + 2 * ((p + j) * padded + s), rows[j]);
      }
    }
  }
}

void pack_values_avx512bf16(const uint16_t* values, int64_t stride, int64_t count, int64_t width,
                            int64_t padded, uint16_t* packed) {
  for (int64_t s = 0; s < padded; s += 2) {
    for (int64_t k = 0; k < width; k += kLanes) {
      const __mmask16 mask = first(width - k);
      const auto row = [&](int64_t index) {
        return index < count ? _mm512_cvtepu16_epi32(
                                   _mm256_maskz_loadu_epi16(mask, values + index * stride + k))
                             : _mm512_setzero_si512();
      };
      const __m512i both = _mm512_or_si512(row(s), _mm512_slli_epi32(row(s + 1), 16));
      _mm512_mask_storeu_epi32(packed + s * width + 2 * k, mask, both);
    }
  }
}

float soften_row_avx512bf16(const float* scores, float scale, const float* bias, int64_t count,
                            RunningSoftmax& state, uint16_t* probabilities) {
  return bias == nullptr ? soften<false>(scores, scale, bias, count, state, probabilities)
                         : soften<true>(scores, scale, bias, count, state, probabilities);
}

void scale_row_avx512bf16(float* x, float factor, int64_t width) {
  for (int64_t i = 0; i < width; i += kLanes) {
    const __mmask16 mask = first(width - i);
    _mm512_mask_storeu_ps(
        x + i, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_set1_ps(factor)));
  }
}

void scaled_row_to_bf16_avx512bf16(const float* x, float factor, int64_t width, uint16_t* y) {
  for (int64_t i = 0; i < width; i += kLanes) {
    const __mmask16 mask = first(width - i);
    store_bf16(y + i, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_set1_ps(factor)),
               mask);
  }
}

}  // namespace sora::kernels::cpu
