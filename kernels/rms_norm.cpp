#include "kernels/rms_norm.h"

#include <ATen/ATen.h>

#include "kernels/cpu/row_ops.h"
#include "kernels/cpu/rows.h"
#include "kernels/cuda/row_ops.h"

namespace sora::kernels {

void rms_norm_(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const int64_t width = x.size(-1);
  TORCH_CHECK(weight.scalar_type() == at::kFloat && weight.numel() == width,
              "rms_norm_: weight is not f32 of the width of x");
  if (cuda::takes_rows(x) && cuda::fits_beside_rows(weight))
    return cuda::run_rows(cuda::rms_norm_problem(x, weight, eps, nullptr), x.device());
  if (!cpu::fits(x)) return reference::rms_norm_(x, weight, eps);
  const float* w = weight.const_data_ptr<float>();
  cpu::with_type(x, [&](auto* data) {
    cpu::for_each_row(x, [&](int64_t n, float* scratch) {
      cpu::rms_norm_row(data + n * width, w, width, static_cast<float>(eps), scratch);
    });
  });
}

void rms_norm_rotate_(const at::Tensor& x_BLD, const at::Tensor& weight, double eps,
                      const Rotation& rotation) {
  const int64_t length = x_BLD.size(1), width = x_BLD.size(2), pairs = rotation.cos.size(1);
  TORCH_CHECK(weight.scalar_type() == at::kFloat && weight.numel() == width,
              "rms_norm_rotate_: weight is not f32 of the width of x");
  TORCH_CHECK(rotation.cos.size(0) == length && width % (2 * pairs) == 0 &&
                  rotation.cos.sizes() == rotation.sin.sizes(),
              "rms_norm_rotate_: the rotation is not for this length and head width");
  if (cuda::takes_rows(x_BLD) && cuda::fits_beside_rows(weight))
    return cuda::run_rows(cuda::rms_norm_problem(x_BLD, weight, eps, &rotation), x_BLD.device());
  if (!cpu::fits(x_BLD)) return reference::rms_norm_rotate_(x_BLD, weight, eps, rotation);
  const float* w = weight.const_data_ptr<float>();
  const float* cos = rotation.cos.const_data_ptr<float>();
  const float* sin = rotation.sin.const_data_ptr<float>();
  cpu::with_type(x_BLD, [&](auto* data) {
    cpu::for_each_row(x_BLD, [&](int64_t n, float* scratch) {
      const int64_t angles = n % length * pairs;
      cpu::rms_norm_rotate_row(data + n * width, w, width, static_cast<float>(eps), cos + angles,
                               sin + angles, pairs, scratch);
    });
  });
}

}  // namespace sora::kernels
