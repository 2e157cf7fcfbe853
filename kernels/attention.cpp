#include "kernels/attention.h"

#include <ATen/ATen.h>

#include "kernels/cpu/flash_attention.h"

namespace sora::kernels {

at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const at::Tensor& bias_BS) {
  if (cpu::fits_flash_attention(q_BLHK, k_BSHK, v_BSHK))
    return cpu::flash_attention(q_BLHK, k_BSHK, v_BSHK, bias_BS);
  const int64_t batch = q_BLHK.size(0), length = q_BLHK.size(1), keys = k_BSHK.size(1);
  const auto for_batch = [batch](const at::Tensor& x) {
    return x.size(0) == batch ? x : x.expand({batch, x.size(1), x.size(2), x.size(3)});
  };
  std::optional<at::Tensor> mask;
  if (bias_BS.defined()) {
    mask = bias_BS.unsqueeze(1).unsqueeze(1).expand({batch, 1, length, keys});
  }
  // ATen's fused CPU kernel reads and writes tokens first, heads second as they lie: no copy before
  // or after it.
  const at::Tensor out_BHLK =
      at::scaled_dot_product_attention(q_BLHK.transpose(1, 2), for_batch(k_BSHK).transpose(1, 2),
                                       for_batch(v_BSHK).transpose(1, 2), mask);
  return out_BHLK.transpose(1, 2).contiguous();
}

}  // namespace sora::kernels
