// Scores of far keys, made smaller as AttentionGroup says. Included by units for AVX-512 only, each
// of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/intrinsics.h"

namespace sora::kernels::cpu {
namespace {

// Of one query and 16 keys in a row; `distance`: of the first key's token from the query's.
inline __m512 scaled_if_far(const AttentionGroup& group, __m512 scores, int64_t distance) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i away =
      _mm512_abs_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(distance))));
  __mmask16 mask = _mm512_cmpgt_epi32_mask(away, _mm512_set1_epi32(static_cast<int>(group.window)));
  mask = _mm512_mask_cmp_ps_mask(mask, scores, _mm512_setzero_ps(), _CMP_GT_OQ);
  return _mm512_mask_mul_ps(scores, mask, scores, _mm512_set1_ps(group.far_factor));
}

}  // namespace
}  // namespace sora::kernels::cpu
