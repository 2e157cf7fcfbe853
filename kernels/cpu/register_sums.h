// Sums of a product that stay in registers while it is made: kRows rows of two registers, which lie
// 32 numbers apart in memory. Included by units for one processor each, which keep their own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/lanes.h"

namespace sora::kernels::cpu {
namespace {

template <int kRows>
struct RegisterSums {
  Floats sums[kRows][2];

  __attribute__((always_inline)) void clear() {
#pragma GCC unroll 12
    for (auto& row : sums) row[0] = row[1] = zeros();
  }
  // From memory and to it: the first 2 kLanes of [kRows][32], aligned.
  __attribute__((always_inline)) void load(const float* from) {
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      sums[i][0] = load_floats(from + i * 32);
      sums[i][1] = load_floats(from + i * 32 + kLanes);
    }
  }
  __attribute__((always_inline)) void store(float* to) const {
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      store_floats(to + i * 32, sums[i][0]);
      store_floats(to + i * 32 + kLanes, sums[i][1]);
    }
  }
  // += x [kRows, `stride` apart] times 2 kLanes numbers.
  __attribute__((always_inline)) void multiply_add(const float* x, int64_t stride, Floats low,
                                                   Floats high) {
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const Floats left = splat(x[i * stride]);
      sums[i][0] = cpu::multiply_add(left, low, sums[i][0]);
      sums[i][1] = cpu::multiply_add(left, high, sums[i][1]);
    }
  }
};

}  // namespace
}  // namespace sora::kernels::cpu
