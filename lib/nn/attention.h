// Attention over tokens whose heads lie side by side in the width D = H * K.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/attention.h"

namespace sora {

// q [B, L, D]; k, v [B or 1, S, D]; bias [B or 1, S] f32 or undefined, added to all logits of a
// key. Returns [B, L, D].
at::Tensor multi_head_attention(const at::Tensor& q_BLD, const at::Tensor& k_BSD,
                                const at::Tensor& v_BSD, int64_t num_heads,
                                const at::Tensor& bias_BS = {},
                                kernels::AttentionKernel kernel = kernels::AttentionKernel::Auto);

// The same without a bias, approximately: kernels/attention_int8.h.
at::Tensor multi_head_attention_int8(const at::Tensor& q_BLD, const at::Tensor& k_BSD,
                                     const at::Tensor& v_BSD, int64_t num_heads);

// libtorch's attention without a mask, for what kernels/attention.h has no form for: q [B,H,L,K];
// k, v [B,H,S,K]. In f32 on processors whose bf16 libtorch multiplies slowly.
at::Tensor library_attention(const at::Tensor& q_BHLK, const at::Tensor& k_BHSK,
                             const at::Tensor& v_BHSK);

// Note [Padded keys]
// Keys that are all the same vector k weigh n exp(q.k) in the softmax's sum, which one key with
// ln(n) added to its logit weighs as well: padding of a text to 512 tokens costs one key instead of
// hundreds, exactly.
struct CollapsedPadding {
  int64_t num_rows;    // rows to keep of each batch item: the real ones, and one of the padding
  at::Tensor bias_BS;  // f32 [B, num_rows]; undefined where nothing is saved, and then num_rows is
                       // all of them
};

// Batch item b has num_tokens[b] (0 to total) real rows; the rest, up to `total`, are all the same.
CollapsedPadding collapse_padding(const std::vector<int64_t>& num_tokens, int64_t total);

}  // namespace sora
