#include "lib/nn/attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention_int8.h"
#include "kernels/cpu/processor.h"

namespace sora {
namespace {

// ATen's bf16 kernel multiplies pairs of keys, and takes a path of less than half the speed for an
// odd number of them; blocks of 16 suit its matrix unit.
constexpr int64_t kKeysInBlock = 16;

}  // namespace

at::Tensor multi_head_attention(const at::Tensor& q_BLD, const at::Tensor& k_BSD,
                                const at::Tensor& v_BSD, int64_t num_heads,
                                const at::Tensor& bias_BS, kernels::AttentionKernel kernel) {
  const auto heads = [num_heads](const at::Tensor& x) { return x.unflatten(2, {num_heads, -1}); };
  return kernels::attention(heads(q_BLD), heads(k_BSD), heads(v_BSD), {.bias_BS = bias_BS}, kernel)
      .flatten(2);
}

at::Tensor multi_head_attention_int8(const at::Tensor& q_BLD, const at::Tensor& k_BSD,
                                     const at::Tensor& v_BSD, int64_t num_heads) {
  const auto heads = [num_heads](const at::Tensor& x) { return x.unflatten(2, {num_heads, -1}); };
  return kernels::attention_int8(heads(q_BLD), heads(k_BSD), heads(v_BSD)).flatten(2);
}

at::Tensor library_attention(const at::Tensor& q_BHLK, const at::Tensor& k_BHSK,
                             const at::Tensor& v_BHSK) {
  const bool is_slow = q_BHLK.is_cpu() && !kernels::cpu::libraries_multiply_bf16();
  const at::ScalarType dtype = q_BHLK.scalar_type(), type = is_slow ? at::kFloat : dtype;
  return at::scaled_dot_product_attention(q_BHLK.to(type), k_BHSK.to(type), v_BHSK.to(type))
      .to(dtype);
}

CollapsedPadding collapse_padding(const std::vector<int64_t>& num_tokens, int64_t total) {
  const int64_t longest = *std::max_element(num_tokens.begin(), num_tokens.end());
  const int64_t wanted = (longest + 1 + kKeysInBlock - 1) / kKeysInBlock * kKeysInBlock;
  if (wanted >= total) return {total, at::Tensor()};
  const int64_t batch = static_cast<int64_t>(num_tokens.size());
  at::Tensor bias = at::full({batch, wanted}, -std::numeric_limits<float>::infinity(), at::kFloat);
  auto bias_of = bias.accessor<float, 2>();
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t real = num_tokens[static_cast<size_t>(b)];
    for (int64_t s = 0; s < real; ++s) bias_of[b][s] = 0.0F;
    bias_of[b][real] = static_cast<float>(std::log(static_cast<double>(total - real)));
  }
  return {wanted, bias};
}

}  // namespace sora
