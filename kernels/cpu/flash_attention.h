// bf16 attention on the CPU, block by block with a running softmax (FlashAttention, arXiv
// 2205.14135, algorithm 1), the products by libtorch's brgemm, which oneDNN compiles for the
// processor it finds (AMX, AVX512-BF16).
//
// A block of queries is computed by one thread over all keys in order, so the result does not
// depend on the number of threads. Measured beside ATen's scaled_dot_product_attention:
// tests/kernels/attention_bench.cpp.
#pragma once

#include <ATen/core/Tensor.h>

namespace sora::kernels::cpu {

bool fits_flash_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK);

// The contract of kernels/attention.h.
at::Tensor flash_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                           const at::Tensor& v_BSHK, const at::Tensor& bias_BS);

}  // namespace sora::kernels::cpu
