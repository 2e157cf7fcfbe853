#include "kernels/attention.h"

#include <ATen/ATen.h>

#include "kernels/cpu/flash_attention.h"

namespace sora::kernels {

at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const AttentionTerms& terms) {
  if (cpu::fits_flash_attention(q_BLHK, k_BSHK, v_BSHK))
    return cpu::flash_attention(q_BLHK, k_BSHK, v_BSHK, terms);
  if (terms.has_more_than_bias()) return reference::attention(q_BLHK, k_BSHK, v_BSHK, terms);
  const int64_t batch = q_BLHK.size(0), length = q_BLHK.size(1), keys = k_BSHK.size(1);
  const auto for_batch = [batch](const at::Tensor& x) {
    return x.size(0) == batch ? x : x.expand({batch, x.size(1), x.size(2), x.size(3)});
  };
  std::optional<at::Tensor> mask;
  if (terms.bias_BS.defined())
    mask = terms.bias_BS.unsqueeze(1).unsqueeze(1).expand({batch, 1, length, keys});
  const at::Tensor out_BHLK =
      at::scaled_dot_product_attention(q_BLHK.transpose(1, 2), for_batch(k_BSHK).transpose(1, 2),
                                       for_batch(v_BSHK).transpose(1, 2), mask);
  return out_BHLK.transpose(1, 2).contiguous();
}

}  // namespace sora::kernels
