// rms_norm_silu for processors with AVX-512 with bf16 conversions.
namespace {
constexpr int kLanes = 16;
}
#include "kernels/cpu/rms_norm_silu_rows.h"

namespace sora::kernels::cpu {

void rms_norm_silu_rows_avx512bf16(const void* x, const float* scale, void* y, int64_t num_rows,
                                   int64_t width, bool bf16, bool silu) {
  bf16 ? rows<uint16_t>(x, scale, y, num_rows, width, silu)
       : rows<float>(x, scale, y, num_rows, width, silu);
}

}  // namespace sora::kernels::cpu
