#include "kernels/attention_int8.h"

#include <ATen/ATen.h>

#include "kernels/cpu/flash_attention.h"
#include "kernels/cuda/attention_int8.h"

namespace sora::kernels {

at::Tensor attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK, const AttentionTerms& terms) {
  if (cuda::takes_attention_int8(q_BLHK, k_BSHK, v_BSHK))
    return cuda::attention_int8(q_BLHK, k_BSHK, v_BSHK, terms);
  const bool gains = cpu::this_processor() == cpu::Processor::Avx512Bf16;
  if (!gains || q_BLHK.scalar_type() != at::kBFloat16 || q_BLHK.size(3) % cpu::kWidthStep != 0 ||
      !cpu::fits_flash_attention(q_BLHK, k_BSHK, v_BSHK)) {
    return attention(q_BLHK, k_BSHK, v_BSHK, terms);
  }
  return cpu::flash_attention_int8(q_BLHK, k_BSHK, v_BSHK, terms);
}

}  // namespace sora::kernels
