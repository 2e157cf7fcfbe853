// The last step of panel_gemm.h on one row of sums.
#pragma once

#include <cstdint>

#include "kernels/cpu/sigmoid_gate.h"

namespace sora::kernels::cpu {

// y = gate(sums + bias), rounded to bf16; bias may be null.
void finish_row_avx512bf16(const float* sums, const float* bias, int64_t width, SigmoidGate gate,
                           uint16_t* y);

}  // namespace sora::kernels::cpu
