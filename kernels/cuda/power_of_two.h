// Powers of two by additions and multiplications, for kernels that need more of them than the unit
// for exponentials gives (Cody and Waite's reduction and a polynomial, as FlashAttention-4 does on
// later GPUs).
#pragma once

#include "kernels/cuda/device_code.h"

#include <cstdint>

namespace sora::kernels::cuda {

// Added to a number below 2^22 in magnitude, it leaves the nearest whole number in the lower bits
// of the sum, in two's complement: 1.5 * 2^23, where f32 counts in ones.
inline constexpr float kWholeNumbers = 12582912.0F;
inline constexpr uint32_t kWholeNumbersBits = 0x4b400000;

// 2^x within 1.1e-4 of itself, for x below 128; exactly 0 up to -127, so for what is hidden.
template <class Machine>
SORA_DEVICE float power_of_two(Machine& machine, float x) {
  x = machine.larger(x, -127.0F);
  const float shifted = x + kWholeNumbers;
  const float part = x - (shifted - kWholeNumbers);  // from -1/2 to 1/2
  // Nearest in relative error with a constant of 1, whose exponent 2^-127 takes away exactly.
  const float power = ((0.05500842F * part + 0.24221075F) * part + 0.69328296F) * part + 1.0F;
  return __builtin_bit_cast(
      float, __builtin_bit_cast(uint32_t, power) + (__builtin_bit_cast(uint32_t, shifted) << 23));
}

}  // namespace sora::kernels::cuda
