#include "kernels/convolution.h"

#include <ATen/ATen.h>

namespace sora::kernels::reference {

void convolve_out(const at::Tensor& x_THWC, const at::Tensor& weight, const at::Tensor& bias,
                  Padding padding, const at::Tensor& other, const at::Tensor& y_THWK) {
  const int64_t taps = x_THWC.size(0) - y_THWK.size(0) + 1, rows = weight.size(3),
                columns = weight.size(4);
  // As many zeros after the last row and column as the output reaches beyond them.
  const int64_t below = y_THWK.size(1) - x_THWC.size(1) + rows - 1 - padding.top,
                right = y_THWK.size(2) - x_THWC.size(2) + columns - 1 - padding.left;
  const at::Tensor clip = x_THWC.to(at::kFloat).permute({3, 0, 1, 2}).unsqueeze(0);
  const at::Tensor padded =
      at::constant_pad_nd(clip, {padding.left, right, padding.top, below, 0, 0});
  const at::Tensor seen = weight.to(at::kFloat).narrow(2, weight.size(2) - taps, taps);
  const at::Tensor sum = at::conv3d(padded, seen, bias.to(at::kFloat));
  const at::Tensor y = sum.squeeze(0).permute({1, 2, 3, 0});
  y_THWK.copy_(other.defined() ? y + other : y);
}

}  // namespace sora::kernels::reference
