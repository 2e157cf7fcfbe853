// The processor-specific rows of rms_norm_silu; no header of libtorch, so that none of its inline
// functions is compiled for a processor that may not be there.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

// x, y [num_rows, width] of float or, where `bf16`, of bfloat16 bit patterns; scale [width].
using RmsNormSiluRows = void(const void* x, const float* scale, void* y, int64_t num_rows,
                             int64_t width, bool bf16, bool silu);
RmsNormSiluRows rms_norm_silu_rows_avx2;
RmsNormSiluRows rms_norm_silu_rows_avx512;
RmsNormSiluRows rms_norm_silu_rows_avx512bf16;

}  // namespace sora::kernels::cpu
