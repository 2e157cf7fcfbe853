// kernels/cpu/power_of_two_avx512.h for units that are compiled for any processor.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

// On a processor with AVX-512.
void powers_of_two(const float* x, float* y, int64_t count);

}  // namespace sora::kernels::cpu
