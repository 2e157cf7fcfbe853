// bf16 attention by dot products.

#include "kernels/cpu/attention_registers.h"

namespace sora::kernels::cpu {
namespace {

inline __m512bh pair_of_all(const uint16_t* pair) {
  int bits;
  __builtin_memcpy(&bits, pair, sizeof bits);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(bits));
}

inline __m512bh pairs(const uint16_t* from) {
  return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from));
}

struct DotProducts : RegisterSums<kRowsInRegisters> {
  using Number = uint16_t;

  __attribute__((always_inline)) void add(const uint16_t* x, int64_t stride, const uint16_t* right,
                                          int64_t count, const uint16_t* next) {
    for (int64_t p = 0; p < count; ++p) {
      ask_for_pairs(next + p * 64);
      const __m512bh low = pairs(right + p * 64), high = pairs(right + p * 64 + 32);
#pragma GCC unroll 12
      for (int i = 0; i < kRowsInRegisters; ++i) {
        const __m512bh left = pair_of_all(x + i * stride + 2 * p);
        sums[i][0] = _mm512_dpbf16_ps(sums[i][0], left, low);
        sums[i][1] = _mm512_dpbf16_ps(sums[i][1], left, high);
      }
    }
  }
};

}  // namespace

int64_t attention_scratch_avx512bf16(int64_t num_rows, int64_t width) {
  return Group<DotProducts>::scratch_bytes(num_rows, width);
}

void attend_avx512bf16(const AttentionGroup& group, void* scratch) {
  Group<DotProducts>(group, scratch).run();
}

}  // namespace sora::kernels::cpu
