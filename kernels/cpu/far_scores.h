// Scores of far keys, made smaller as AttentionGroup says. Included by units for AVX2 or AVX-512,
// each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/lanes.h"

namespace sora::kernels::cpu {
namespace {

// Of one query and kLanes keys in a row; `distance`: of the first key's token from the query's.
inline Floats scaled_if_far(const AttentionGroup& group, Floats scores, int64_t distance) {
#ifdef __AVX512F__
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i away =
      _mm512_abs_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(distance))));
  __mmask16 mask = _mm512_cmpgt_epi32_mask(away, _mm512_set1_epi32(static_cast<int>(group.window)));
  mask = _mm512_mask_cmp_ps_mask(mask, scores, _mm512_setzero_ps(), _CMP_GT_OQ);
  return _mm512_mask_mul_ps(scores, mask, scores, _mm512_set1_ps(group.far_factor));
#else
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i away =
      _mm256_abs_epi32(_mm256_add_epi32(lane, _mm256_set1_epi32(static_cast<int>(distance))));
  const __m256i is_far =
      _mm256_cmpgt_epi32(away, _mm256_set1_epi32(static_cast<int>(group.window)));
  const __m256 is_scaled = _mm256_and_ps(_mm256_castsi256_ps(is_far),
                                         _mm256_cmp_ps(scores, _mm256_setzero_ps(), _CMP_GT_OQ));
  return _mm256_blendv_ps(scores, scores * splat(group.far_factor), is_scaled);
#endif
}

}  // namespace
}  // namespace sora::kernels::cpu
