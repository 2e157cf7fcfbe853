#include "kernels/cpu/power_of_two.h"
#include "tests/kernels/powers.h"

namespace sora::kernels::cpu {

void powers_of_two_avx512(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) {
    const auto mask = static_cast<__mmask16>(count - i < 16 ? (1 << (count - i)) - 1 : 0xffff);
    _mm512_mask_storeu_ps(y + i, mask, power_of_two(_mm512_maskz_loadu_ps(mask, x + i)));
  }
}

}  // namespace sora::kernels::cpu
