// out = softmax(q k^T / sqrt(K) + bias) v, for each head.
//
// q [B, L, H, K], k and v [B, S, H, K], f32|bf16, any strides with the last dimension dense; a
// batch of 1 in k, v or bias serves all of q's. bias [B, S] f32, or undefined: added to the logits
// of every head and query; -inf hides a key. Returns [B, L, H, K] contiguous. Sums and softmax in
// f32; probabilities are rounded to q's type.
#pragma once

#include <ATen/core/Tensor.h>

namespace sora::kernels {

at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const at::Tensor& bias_BS = {});

namespace reference {
at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const at::Tensor& bias_BS);
}  // namespace reference

}  // namespace sora::kernels
