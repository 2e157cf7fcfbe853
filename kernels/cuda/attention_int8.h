// Attention on a GPU of compute capability 9.0 with products in 8 bits, approximately, Note [8 bits
// on Hopper].
#pragma once

#include <vector>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_int8_problem.h"

namespace sora::kernels::cuda {

// bf16, heads of 64 or 128 numbers, each row at a multiple of 16 bytes.
bool fits_attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                         const at::Tensor& v_BSHK);

// Whether tensors that fit are on a GPU that the kernels are for, in a build that has them.
bool takes_attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK);

// A problem and the tensors that it points into, all on the device of q.
struct PreparedInt8Attention {
  Int8AttentionProblem problem;
  PreparedAttention exact;  // the call itself, and its result
  std::vector<at::Tensor> arrays;
};
PreparedInt8Attention prepare_attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                                             const at::Tensor& v_BSHK, const AttentionTerms& terms);

// The contract of kernels/attention_int8.h, of tensors on a GPU that fit, on torch's current
// stream, where it is taken.
at::Tensor attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK, const AttentionTerms& terms);

}  // namespace sora::kernels::cuda
