// 2^x for results in bf16, on AVX-512. Included by units for such processors only, each of which
// keeps its own copy.
#pragma once

#include "kernels/cpu/intrinsics.h"

namespace sora::kernels::cpu {
namespace {

// 2^x within 1.0e-4 of itself, of which rounding to bf16 leaves little, for -127 <= x < 127; 0 at
// and below -127. Adding kRounder leaves x rounded to a whole n in the low bits; 2^(x - n) is a
// polynomial fitted on [-1/2, 1/2] with 1 at 0, whose exponent n is added to. A NaN stays one.
inline __m512 power_of_two(__m512 x) {
  const __m512 rounder = _mm512_set1_ps(12582912.0F);  // 1.5 * 2^23
  x = _mm512_max_ps(_mm512_set1_ps(-127.0F), x);
  const __m512 shifted = _mm512_add_ps(x, rounder);
  const __m512 r = _mm512_sub_ps(x, _mm512_sub_ps(shifted, rounder));
  __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.05500893F), r, _mm512_set1_ps(0.24221097F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.69328293F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F));
  const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
}

}  // namespace
}  // namespace sora::kernels::cpu
