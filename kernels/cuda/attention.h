// Attention on a GPU by this project's own kernel, Notes [Attention on tensor cores] and
// [Attention on Hopper].
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "kernels/attention.h"
#include "kernels/cuda/attention_problem.h"

namespace sora::kernels::cuda {

// bf16, heads of 8 to 256 numbers in steps of 8, each row at a multiple of 16 bytes.
bool fits_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK);

// A problem and the tensors that it points into, all on the device of q.
struct PreparedAttention {
  AttentionProblem problem;
  at::Tensor out_BLHK, bias_BS, num_keys_B, table_RC, query_rows_L, key_columns_S;
};
PreparedAttention prepare_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                                    const at::Tensor& v_BSHK, const AttentionTerms& terms);

// The contract of kernels/attention.h, of tensors on a GPU that fit, on torch's current stream.
// Without a choice of instructions the best for the device and the problem are taken.
at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const AttentionTerms& terms,
                     std::optional<Instructions> instructions = std::nullopt);

}  // namespace sora::kernels::cuda
