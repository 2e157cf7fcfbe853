#include "kernels/cuda/attention.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cmath>

namespace sora::kernels::cuda {
namespace {

constexpr int64_t kMaxHeadWidth = 256, kAlignedBytes = 16, kAlignedNumbers = 8;

bool is_aligned(const at::Tensor& x) {
  if (x.scalar_type() != at::kBFloat16 || x.stride(3) != 1) return false;
  for (int64_t dim = 0; dim < 3; ++dim)
    if (x.size(dim) > 1 && x.stride(dim) % kAlignedNumbers != 0) return false;
  return reinterpret_cast<uintptr_t>(x.const_data_ptr()) % kAlignedBytes == 0;
}

Rows rows_of(const at::Tensor& x) {
  return {static_cast<const uint16_t*>(x.const_data_ptr()), x.size(0) > 1 ? x.stride(0) : 0,
          x.stride(1), x.stride(2)};
}

}  // namespace

bool fits_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK) {
  const int64_t width = q_BLHK.size(3);
  return width % kAlignedNumbers == 0 && width <= kMaxHeadWidth && q_BLHK.numel() > 0 &&
         k_BSHK.numel() > 0 && is_aligned(q_BLHK) && is_aligned(k_BSHK) && is_aligned(v_BSHK);
}

PreparedAttention prepare_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                                    const at::Tensor& v_BSHK, const AttentionTerms& terms) {
  const int64_t queries = q_BLHK.size(1), keys = k_BSHK.size(1), width = q_BLHK.size(3);
  PreparedAttention prepared;
  AttentionProblem& problem = prepared.problem = {};
  prepared.out_BLHK = at::empty({q_BLHK.size(0), queries, q_BLHK.size(2), width}, q_BLHK.options());
  problem.q = rows_of(q_BLHK);
  problem.k = rows_of(k_BSHK);
  problem.v = rows_of(v_BSHK);
  problem.out = static_cast<uint16_t*>(prepared.out_BLHK.mutable_data_ptr());
  problem.batch = static_cast<int32_t>(q_BLHK.size(0));
  problem.queries = static_cast<int32_t>(queries);
  problem.keys = static_cast<int32_t>(keys);
  problem.heads = static_cast<int32_t>(q_BLHK.size(2));
  problem.head_width = static_cast<int32_t>(width);
  problem.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(width)));
  problem.far_window = terms.far.window;
  problem.far_factor = static_cast<float>(terms.far.factor);
  const at::Device device = q_BLHK.device();
  if (terms.bias_BS.defined()) {
    prepared.bias_BS = terms.bias_BS.to(device, at::kFloat).contiguous();
    problem.bias = prepared.bias_BS.const_data_ptr<float>();
    problem.bias_batch_stride = prepared.bias_BS.size(0) > 1 ? keys : 0;
  }
  if (terms.num_keys_B.defined()) {
    prepared.num_keys_B =
        terms.num_keys_B.to(device, at::kLong).expand({problem.batch}).contiguous();
    problem.num_keys = prepared.num_keys_B.const_data_ptr<int64_t>();
  }
  if (terms.table.defined()) {
    terms.table.check(queries, keys);
    prepared.table_RC = terms.table.values_RC.to(device, at::kFloat).contiguous();
    prepared.query_rows_L = range_numbers(terms.table.row_ends, queries, device).to(at::kInt);
    prepared.key_columns_S = range_numbers(terms.table.column_ends, keys, device).to(at::kInt);
    problem.table = prepared.table_RC.const_data_ptr<float>();
    problem.table_columns = static_cast<int32_t>(prepared.table_RC.size(1));
    problem.query_rows = prepared.query_rows_L.const_data_ptr<int32_t>();
    problem.key_columns = prepared.key_columns_S.const_data_ptr<int32_t>();
  }
  return prepared;
}

at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const AttentionTerms& terms, std::optional<Instructions> instructions) {
  const c10::DeviceGuard guard(q_BLHK.device());
  const PreparedAttention prepared = prepare_attention(q_BLHK, k_BSHK, v_BSHK, terms);
  const c10::impl::VirtualGuardImpl device(q_BLHK.device().type());
  launch_attention(prepared.problem,
                   instructions ? *instructions : best_instructions(prepared.problem),
                   device.getStreamNativeHandle(device.getStream(q_BLHK.device())));
  return prepared.out_BLHK;
}

}  // namespace sora::kernels::cuda
