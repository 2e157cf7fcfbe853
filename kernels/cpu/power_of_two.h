// 2^x for results in bf16. Included by units for AVX2 or AVX-512, each of which keeps its own copy.
#pragma once

#include "kernels/cpu/lanes.h"

namespace sora::kernels::cpu {
namespace {

// 2^x within 1.1e-4 of itself, of which rounding to bf16 leaves little, for -126 <= x < 128, whole
// powers exactly; 0 below, infinity above. A NaN stays one. 2^(x - floor(x)) is a polynomial fitted
// on [0, 1], 1 at 0 and 2 at 1, to whose exponent floor(x) is added. Lanes whose result would be
// denormal are masked out: they cost the processor forty times as much.
inline Floats power_of_two(Floats x) {
  constexpr float kLeast = -126.0F;
  constexpr int kDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
  const auto fraction_power = [](Floats r) {
    Floats p = multiply_add(splat(0.07826797F), r, splat(0.22630768F));
    p = multiply_add(p, r, splat(0.69542435F));
    return multiply_add(p, r, splat(1.0F));
  };
#ifdef __AVX512F__
  const Floats p = fraction_power(_mm512_reduce_ps(x, kDown));
  const __mmask16 is_normal = _mm512_cmp_ps_mask(x, splat(kLeast), _CMP_NLT_UQ);
  return _mm512_maskz_scalef_ps(is_normal, p, x);
#else
  constexpr float kInfinite = 128.0F;
  constexpr int kExponent = 23;  // its lowest bit
  const Floats is_normal = _mm256_cmp_ps(x, splat(kLeast), _CMP_NLT_UQ);
  const Floats bounded = _mm256_min_ps(splat(kInfinite), x);  // of a number and a NaN the second
  const Floats whole = _mm256_round_ps(bounded, kDown);
  const Words p = _mm256_castps_si256(fraction_power(bounded - whole));
  const Words power = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), kExponent);
  return _mm256_and_ps(_mm256_castsi256_ps(_mm256_add_epi32(p, power)), is_normal);
#endif
}

// 1 / (1 + 2^x), 0 above 126, where it would be denormal; a NaN stays one.
inline Floats base_2_sigmoid_of_minus(Floats x) {
  constexpr float kMost = 126.0F;
  const Floats sum = power_of_two(x) + splat(1.0F);
#ifdef __AVX512F__
  return _mm512_maskz_rcp14_ps(_mm512_cmp_ps_mask(x, splat(kMost), _CMP_NGT_UQ), sum);
#else
  return _mm256_and_ps(splat(1.0F) / sum, _mm256_cmp_ps(x, splat(kMost), _CMP_NGT_UQ));
#endif
}

}  // namespace
}  // namespace sora::kernels::cpu
