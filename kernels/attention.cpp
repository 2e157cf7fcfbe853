#include "kernels/attention.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/cpu/flash_attention.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/gpu.h"

namespace sora::kernels {

void BiasTable::check(int64_t queries, int64_t keys) const {
  TORCH_CHECK(!row_ends.empty() && row_ends.back() == queries && !column_ends.empty() &&
                  column_ends.back() == keys && std::is_sorted(row_ends.begin(), row_ends.end()) &&
                  std::is_sorted(column_ends.begin(), column_ends.end()),
              "attention: the ranges of the table do not cover the queries and keys");
  TORCH_CHECK(values_RC.size(0) == static_cast<int64_t>(row_ends.size()) &&
                  values_RC.size(1) == static_cast<int64_t>(column_ends.size()),
              "attention: the table's values are not one for each row and column");
}

at::Tensor range_numbers(const std::vector<int64_t>& ends, int64_t total, at::Device device) {
  // By fills: a copy from the CPU would wait for the GPU, and fail while a graph is recorded.
  at::Tensor numbers = at::empty({total}, at::TensorOptions(at::kLong).device(device));
  int64_t begin = 0;
  for (size_t range = 0; range < ends.size(); begin = ends[range++])
    numbers.narrow(0, begin, ends[range] - begin).fill_(static_cast<int64_t>(range));
  return numbers;
}

namespace {

at::Tensor torch_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                           const at::Tensor& v_BSHK, const AttentionTerms& terms) {
  const int64_t batch = q_BLHK.size(0), length = q_BLHK.size(1), keys = k_BSHK.size(1);
  const auto for_batch = [batch](const at::Tensor& x) {
    return x.size(0) == batch ? x : x.expand({batch, x.size(1), x.size(2), x.size(3)});
  };
  std::optional<at::Tensor> mask;
  if (terms.bias_BS.defined()) {
    mask = terms.bias_BS.unsqueeze(1).unsqueeze(1).expand({batch, 1, length, keys});
    if (!q_BLHK.is_cpu())
      mask = mask->to(q_BLHK.scalar_type());  // libtorch's forms for GPUs take no other
  }
  const at::Tensor out_BHLK =
      at::scaled_dot_product_attention(q_BLHK.transpose(1, 2), for_batch(k_BSHK).transpose(1, 2),
                                       for_batch(v_BSHK).transpose(1, 2), mask);
  return out_BHLK.transpose(1, 2).contiguous();
}

}  // namespace

at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const AttentionTerms& terms, AttentionKernel kernel) {
  if (kernel != AttentionKernel::Torch && cpu::fits_flash_attention(q_BLHK, k_BSHK, v_BSHK))
    return cpu::flash_attention(q_BLHK, k_BSHK, v_BSHK, terms);
  if (kernel == AttentionKernel::Own && q_BLHK.is_cuda() &&
      cuda::fits_attention(q_BLHK, k_BSHK, v_BSHK) && cuda::has_own_kernels_for(q_BLHK.device()))
    return cuda::attention(q_BLHK, k_BSHK, v_BSHK, terms);
  if (terms.has_more_than_bias()) return reference::attention(q_BLHK, k_BSHK, v_BSHK, terms);
  return torch_attention(q_BLHK, k_BSHK, v_BSHK, terms);
}

}  // namespace sora::kernels
