// 32 numbers of bf16 copied as they are, or widened. Included by units for AVX2 or AVX-512, each of
// which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/lanes.h"

namespace sora::kernels::cpu {
namespace {

// The first `count` are copied; the others become zeros.
inline void copy_32(const uint16_t* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < 32; i += 2 * kLanes) store_words(to + i, load_pairs(from + i, count - i));
}
inline void copy_32(const uint16_t* from, int64_t count, float* to) {
  Floats x[kRegistersOf32];
  load_bf16(from, count, x);
#pragma GCC unroll 4
  for (int64_t i = 0; i < kRegistersOf32; ++i) store_floats(to + i * kLanes, x[i]);
}

}  // namespace
}  // namespace sora::kernels::cpu
