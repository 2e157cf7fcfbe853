// 2^x for results in bf16, on AVX-512. Included by units for such processors only, each of which
// keeps its own copy.
#pragma once

#include "kernels/cpu/intrinsics.h"

namespace sora::kernels::cpu {
namespace {

// 2^x within 1.1e-4 of itself, of which rounding to bf16 leaves little, for -126 <= x < 128, whole
// powers exactly; 0 below, infinity above. A NaN stays one. 2^(x - floor(x)) is a polynomial fitted
// on [0, 1], 1 at 0 and 2 at 1, to whose exponent floor(x) is added. Lanes whose result would be
// denormal are masked out: they cost the processor forty times as much.
inline __m512 power_of_two(__m512 x) {
  constexpr int kLessFloor = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
  const __m512 r = _mm512_reduce_ps(x, kLessFloor);
  __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.07826797F), r, _mm512_set1_ps(0.22630768F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.69542435F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F));
  const __mmask16 is_normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0F), _CMP_NLT_UQ);
  return _mm512_maskz_scalef_ps(is_normal, p, x);
}

}  // namespace
}  // namespace sora::kernels::cpu
