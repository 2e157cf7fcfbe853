// Sums of a product that stay in registers while it is made: kRows rows of 32. Included by units
// for AVX-512 only, each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/lanes_avx512.h"

namespace sora::kernels::cpu {
namespace {

template <int kRows>
struct RegisterSums {
  __m512 sums[kRows][2];

  __attribute__((always_inline)) void clear() {
#pragma GCC unroll 12
    for (auto& row : sums) row[0] = row[1] = _mm512_setzero_ps();
  }
  // From memory and to it: [kRows][32], 64-byte aligned.
  __attribute__((always_inline)) void load(const float* from) {
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      sums[i][0] = _mm512_load_ps(from + i * 32);
      sums[i][1] = _mm512_load_ps(from + i * 32 + kLanes);
    }
  }
  __attribute__((always_inline)) void store(float* to) const {
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      _mm512_store_ps(to + i * 32, sums[i][0]);
      _mm512_store_ps(to + i * 32 + kLanes, sums[i][1]);
    }
  }
  // += x [kRows, `stride` apart] times 32 numbers.
  __attribute__((always_inline)) void multiply_add(const float* x, int64_t stride, __m512 low,
                                                   __m512 high) {
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const __m512 left = _mm512_set1_ps(x[i * stride]);
      sums[i][0] = _mm512_fmadd_ps(left, low, sums[i][0]);
      sums[i][1] = _mm512_fmadd_ps(left, high, sums[i][1]);
    }
  }
};

}  // namespace
}  // namespace sora::kernels::cpu
