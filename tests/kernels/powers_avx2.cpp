#include "kernels/cpu/power_of_two.h"
#include "tests/kernels/powers.h"

namespace sora::kernels::cpu {

void powers_of_two_avx2(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += 8) {
    const auto left = static_cast<int>(count - i);
    const __m256i mask =
        _mm256_cmpgt_epi32(_mm256_set1_epi32(left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    _mm256_maskstore_ps(y + i, mask, power_of_two(_mm256_maskload_ps(x + i, mask)));
  }
}

}  // namespace sora::kernels::cpu
