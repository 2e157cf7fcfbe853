#include "kernels/gated_residual.h"

#include <ATen/ATen.h>

#include "kernels/cpu/row_ops.h"
#include "kernels/cpu/rows.h"
#include "kernels/cuda/row_ops.h"

namespace sora::kernels {

void gated_residual_(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate_RD,
                     const at::Tensor& row_N) {
  const int64_t width = x.size(-1);
  TORCH_CHECK(x.sizes() == y.sizes(), "gated_residual_: x and y differ in shape");
  TORCH_CHECK(gate_RD.defined() == row_N.defined(),
              "gated_residual_: gate and row belong together");
  TORCH_CHECK(!gate_RD.defined() || (gate_RD.size(1) == width && gate_RD.stride(1) == 1),
              "gated_residual_: gate is not dense rows of the width of x");
  TORCH_CHECK(!row_N.defined() || (row_N.numel() * width == x.numel() && row_N.is_contiguous()),
              "gated_residual_: row is not one number a token, one after the other");
  if (cuda::takes_rows(x) && cuda::fits_rows(y) && cuda::fits_beside_rows(gate_RD))
    return cuda::run_rows(cuda::gated_residual_problem(x, y, gate_RD, row_N), x.device());
  if (!cpu::fits(x) || !cpu::fits(y)) return reference::gated_residual_(x, y, gate_RD, row_N);
  const at::Tensor ones = gate_RD.defined() ? gate_RD : at::ones({1, width});
  const float* gate = ones.const_data_ptr<float>();
  const int64_t* row = row_N.defined() ? row_N.const_data_ptr<int64_t>() : nullptr;
  cpu::with_type(x, [&](auto* to) {
    cpu::with_type(y, [&](const auto* from) {
      cpu::for_each_row(x, [&](int64_t n, float*) {
        const int64_t r = row == nullptr ? 0 : row[n];
        cpu::gated_residual_row(to + n * width, from + n * width, gate + r * ones.stride(0), width);
      });
    });
  });
}

}  // namespace sora::kernels
