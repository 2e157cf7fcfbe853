// kernels/cpu/power_of_two.h for units that are compiled for any processor.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

// Of `count` numbers, on a processor of that name.
using PowersOfTwo = void(const float* x, float* y, int64_t count);
PowersOfTwo powers_of_two_avx2;
PowersOfTwo powers_of_two_avx512;

}  // namespace sora::kernels::cpu
