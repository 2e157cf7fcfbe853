// Whole numbers in the lower bits of f32, so that they are had without a conversion.
#pragma once

#include <cstdint>

namespace sora::kernels::cuda::hopper {

// Added to a number below 2^22 in magnitude, it leaves the nearest whole number in the lower bits
// of the sum, in two's complement: 1.5 * 2^23, where f32 counts in ones.
inline constexpr float kWholeNumbers = 12582912.0F;
inline constexpr uint32_t kWholeNumbersBits = 0x4b400000;

}  // namespace sora::kernels::cuda::hopper
