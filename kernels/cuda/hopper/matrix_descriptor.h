// How wgmma is told where an operand lies in shared memory (PTX ISA, "Matrix descriptor format").
#pragma once

#include "kernels/cuda/device_code.h"

#include <cstdint>

namespace sora::kernels::cuda::hopper {

// Eight rows of 128 bytes are the unit that the 128-byte swizzle permutes.
inline constexpr uint32_t kSwizzleUnitBytes = 1024;

// Bits: 0-13 the address, 16-29 the leading and 32-45 the stride offset, each in units of 16 bytes;
// 62-63 the swizzle, 1 for 128 bytes.
SORA_DEVICE uint64_t matrix_descriptor(uint32_t address, uint32_t leading_bytes,
                                       uint32_t stride_bytes) {
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) |
         static_cast<uint64_t>(leading_bytes >> 4) << 16 |
         static_cast<uint64_t>(stride_bytes >> 4) << 32 | uint64_t{1} << 62;
}

// An operand whose rows run along the dimension that is summed over ("K-major"): its groups of
// eight rows lie one after the other.
SORA_DEVICE uint64_t rows_descriptor(uint32_t address) {
  return matrix_descriptor(address, 16, kSwizzleUnitBytes);
}

// An operand whose rows run along the result's columns ("MN-major"); the next 64 columns lie
// `slice_bytes` on.
SORA_DEVICE uint64_t columns_descriptor(uint32_t address, uint32_t slice_bytes) {
  return matrix_descriptor(address, slice_bytes, kSwizzleUnitBytes);
}

// The same operand from `bytes` further on, a multiple of 16. Shared memory ends before the sum
// would carry into the next field.
SORA_DEVICE uint64_t advanced(uint64_t descriptor, uint32_t bytes) {
  return (descriptor & 0xffffffff00000000) | (static_cast<uint32_t>(descriptor) + (bytes >> 4));
}

}  // namespace sora::kernels::cuda::hopper
