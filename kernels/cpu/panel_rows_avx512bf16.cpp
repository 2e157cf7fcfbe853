// gcc 12 takes the undefined pass-through operands of its own intrinsics for a mistake of the
// caller (bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <initializer_list>

#include "kernels/cpu/panel_rows.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kLanes = 16;

// exp(x) within 2 units in the last place: x = n ln 2 + r with |r| <= ln 2 / 2, Taylor series of
// exp(r) to r^6, times 2^n.
inline __m512 exponential(__m512 x) {
  constexpr float kBeyondF32 = 105.0F;  // exp(105) is infinite, exp(-105) is 0
  x = _mm512_max_ps(_mm512_min_ps(x, _mm512_set1_ps(kBeyondF32)), _mm512_set1_ps(-kBeyondF32));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)),
                                        _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), r);
  __m512 p = _mm512_set1_ps(1.0F / 720);
  for (const float c : {1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F})
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
  return _mm512_scalef_ps(p, n);
}

// 1 / x to f32: an estimate of 14 bits and a step of Newton's, several times the speed of a
// division. A huge x, whose step would be infinity times 0, keeps the estimate.
inline __m512 reciprocal(__m512 x) {
  const __m512 y = _mm512_rcp14_ps(x);
  const __m512 error = _mm512_fnmadd_ps(x, y, _mm512_set1_ps(1.0F));
  const __mmask16 finite = _mm512_cmp_ps_mask(x, _mm512_set1_ps(1e30F), _CMP_LT_OQ);
  return _mm512_mask_fmadd_ps(y, finite, error, y);
}

inline __m512 gated(__m512 z, __m512 a, __m512 b) {
  const __m512 u = _mm512_mul_ps(z, _mm512_fmadd_ps(_mm512_mul_ps(z, z), b, a));
  const __m512 e = exponential(_mm512_sub_ps(_mm512_setzero_ps(), u));
  return _mm512_mul_ps(z, reciprocal(_mm512_add_ps(e, _mm512_set1_ps(1.0F))));
}

}  // namespace

void finish_row_avx512bf16(const float* sums, const float* bias, int64_t width, SigmoidGate gate,
                           uint16_t* y) {
  const __m512 a = _mm512_set1_ps(gate.a), b = _mm512_set1_ps(gate.b);
  for (int64_t i = 0; i < width; i += kLanes) {
    const int64_t left = width - i < kLanes ? width - i : kLanes;
    const __mmask16 mask = static_cast<__mmask16>((1U << left) - 1);
    __m512 z = _mm512_maskz_loadu_ps(mask, sums + i);
    if (bias != nullptr) z = _mm512_add_ps(z, _mm512_maskz_loadu_ps(mask, bias + i));
    if (gate.a != 0.0F) z = gated(z, a, b);
    _mm256_mask_storeu_epi16(y + i, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(z)));
  }
}

}  // namespace sora::kernels::cpu
