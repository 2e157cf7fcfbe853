#include "kernels/layer_norm.h"

#include <ATen/ATen.h>

#include "kernels/cpu/row_ops.h"
#include "kernels/cpu/rows.h"
#include "kernels/cuda/row_ops.h"

namespace sora::kernels {

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight_RD, const at::Tensor& bias_RD,
                      const at::Tensor& row_N, double eps, at::ScalarType dtype) {
  const int64_t width = x.size(-1);
  TORCH_CHECK(weight_RD.size(1) == width && bias_RD.sizes() == weight_RD.sizes() &&
                  weight_RD.stride(1) == 1 && bias_RD.stride(1) == 1,
              "layer_norm: weight and bias are not dense rows of the width of x");
  TORCH_CHECK(!row_N.defined() || (row_N.numel() * width == x.numel() && row_N.is_contiguous()),
              "layer_norm: row is not one number a token, one after the other");
  const at::Tensor y = at::empty(x.sizes(), x.options().dtype(dtype));
  if (cuda::takes_rows(x) && cuda::fits_beside_rows(weight_RD) && cuda::fits_beside_rows(bias_RD)) {
    cuda::run_rows(cuda::layer_norm_problem(x, weight_RD, bias_RD, row_N, eps, y), x.device());
    return y;
  }
  if (!cpu::fits(x) || !cpu::fits(y))
    return reference::layer_norm(x, weight_RD, bias_RD, row_N, eps, dtype);
  const float* weight = weight_RD.const_data_ptr<float>();
  const float* bias = bias_RD.const_data_ptr<float>();
  const int64_t* row = row_N.defined() ? row_N.const_data_ptr<int64_t>() : nullptr;
  cpu::with_type(x, [&](auto* from) {
    cpu::with_type(y, [&](auto* to) {
      cpu::for_each_row(x, [&](int64_t n, float* scratch) {
        const int64_t r = row == nullptr ? 0 : row[n];
        cpu::layer_norm_row(from + n * width, weight + r * weight_RD.stride(0),
                            bias + r * bias_RD.stride(0), width, static_cast<float>(eps),
                            to + n * width, scratch);
      });
    });
  });
  return y;
}

}  // namespace sora::kernels
