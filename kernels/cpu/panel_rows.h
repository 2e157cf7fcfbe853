// The last step of panel_gemm.h on one row of sums.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

// z / (1 + exp(-(a z + b z^3))): SiLU for a = 1, the tanh form of GELU for a = sqrt(8/pi), b =
// 0.044715 a; z itself for a = 0.
struct SigmoidGate {
  float a = 0.0F, b = 0.0F;
};

// y = gate(sums + bias), rounded to bf16; bias may be null.
void finish_row_avx512bf16(const float* sums, const float* bias, int64_t width, SigmoidGate gate,
                           uint16_t* y);

}  // namespace sora::kernels::cpu
