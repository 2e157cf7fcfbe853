// The attention of attention.h with products in 8 bits, approximately, after SageAttention (arXiv
// 2410.02367 and 2411.10958): keys less their mean and queries in int8, values less their mean. On
// processors probabilities are 255ths and values int8: for normal numbers the error is 1 to 2 % of
// the result's size, below 3 % in every case of tests/kernels/attention_int8_test.cpp. On a GPU
// both are e4m3: 3 to 4 %, below 5 %, cosine similarity above 0.999. The equations are in
// cpu/attention_group_int8_avx512bf16.cpp and cuda/hopper/attention_int8.h.
//
// Used on processors with VNNI and no AMX, where a product in 8 bits takes half the time of one in
// bf16, and on GPUs of compute capability 9.0 (no such GPU has run it). On AMX the exponentials
// take as long as the bf16 products beside them, so nothing would be gained; there and elsewhere,
// and in f32, this is attention().
#pragma once

#include "kernels/attention.h"

namespace sora::kernels {

at::Tensor attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK, const AttentionTerms& terms = {});

}  // namespace sora::kernels
