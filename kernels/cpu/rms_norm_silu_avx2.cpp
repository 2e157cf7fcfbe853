// rms_norm_silu for processors with AVX2, 8 floats a vector.
namespace {
constexpr int kLanes = 8;
}
#include "kernels/cpu/rms_norm_silu_rows.h"

namespace sora::kernels::cpu {

void rms_norm_silu_rows_avx2(const void* x, const float* scale, void* y, int64_t num_rows,
                             int64_t width, bool bf16, bool silu) {
  bf16 ? rows<uint16_t>(x, scale, y, num_rows, width, silu)
       : rows<float>(x, scale, y, num_rows, width, silu);
}

}  // namespace sora::kernels::cpu
