// The attention of attention.h with products in 8 bits, approximately: smoothed keys and queries in
// int8, probabilities in 255ths, values less their mean in int8 (SageAttention, arXiv 2410.02367).
// The equation is in cpu/attention_group_int8_avx512bf16.cpp; its error for normal numbers is 1 to
// 2 % of the result's size (tests/kernels/attention_int8_test.cpp holds it below 3 %).
//
// Used on processors with VNNI and no AMX, where a product in 8 bits takes half the time of one in
// bf16. On AMX the exponentials take as long as the bf16 products beside them, so nothing would be
// gained; there and elsewhere, and in f32, this is attention().
#pragma once

#include "kernels/attention.h"

namespace sora::kernels {

at::Tensor attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK, const AttentionTerms& terms = {});

}  // namespace sora::kernels
