// Attention on the CPU, block by block with a running softmax, in the form for the processor at
// hand (attention_group.h).
//
// A query is computed by one thread over all keys in order, so the result does not depend on the
// number of threads. Measured beside ATen's scaled_dot_product_attention:
// tests/kernels/attention_bench.cpp.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/attention.h"
#include "kernels/cpu/processor.h"

namespace sora::kernels::cpu {

constexpr int64_t kWidthStep = 16;  // of the heads that attention_group.h computes

bool fits_flash_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK);

// The contract of kernels/attention.h, in the form for `processor` or an older one that has it.
// Heads of other widths than multiples of kWidthStep are padded with zeros.
at::Tensor flash_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                           const at::Tensor& v_BSHK, const AttentionTerms& terms,
                           Processor processor = bf16_processor());

// In 8 bits, Note [Attention in 8 bits]; bf16 on AVX512-BF16 with VNNI.
at::Tensor flash_attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                                const at::Tensor& v_BSHK, const AttentionTerms& terms);

}  // namespace sora::kernels::cpu
