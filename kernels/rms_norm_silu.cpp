#include "kernels/rms_norm_silu.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/cpu/processor.h"
#include "kernels/cpu/rms_norm_silu.h"
#include "kernels/cpu/share_tasks.h"

namespace sora::kernels {
namespace {

cpu::RmsNormSiluRows* rows_of_this_processor() {
#if defined(__x86_64__)
  if (cpu::has(cpu::Processor::Avx512Bf16)) return cpu::rms_norm_silu_rows_avx512bf16;
  if (cpu::has(cpu::Processor::Avx512)) return cpu::rms_norm_silu_rows_avx512;
  if (cpu::has(cpu::Processor::Avx2)) return cpu::rms_norm_silu_rows_avx2;
#endif
  return nullptr;
}

}  // namespace

void rms_norm_silu_out(const at::Tensor& x, const at::Tensor& scale_D, NormActivation activation,
                       const at::Tensor& y) {
  constexpr int64_t kElementsPerTask = 1 << 15;
  static cpu::RmsNormSiluRows* const rows = rows_of_this_processor();
  const bool bf16 = x.scalar_type() == at::kBFloat16;
  TORCH_CHECK(y.sizes() == x.sizes() && y.scalar_type() == x.scalar_type(), "y ", y.sizes(),
              " for x ", x.sizes());
  TORCH_CHECK(
      scale_D.dim() == 1 && scale_D.size(0) == x.size(-1) && scale_D.scalar_type() == at::kFloat,
      "scale ", scale_D.sizes(), " for x ", x.sizes());
  if (!rows || !x.is_cpu() || !(bf16 || x.scalar_type() == at::kFloat) || !x.is_contiguous() ||
      !y.is_contiguous() || !scale_D.is_contiguous()) {
    reference::rms_norm_silu_out(x, scale_D, activation, y);
    return;
  }
  if (x.numel() == 0) return;
  const int64_t width = x.size(-1), least = std::max<int64_t>(1, kElementsPerTask / width);
  const auto* from = static_cast<const char*>(x.const_data_ptr());
  auto* to = static_cast<char*>(y.mutable_data_ptr());
  const float* scale = scale_D.const_data_ptr<float>();
  const int64_t row_bytes = width * x.element_size();
  cpu::share_tasks(x.numel() / width, least, [&](int64_t begin, int64_t end) {
    rows(from + begin * row_bytes, scale, to + begin * row_bytes, end - begin, width, bf16,
         activation == NormActivation::Silu);
  });
}

}  // namespace sora::kernels
