#include "kernels/cuda/attention_int8.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace sora::kernels::cuda {

bool fits_attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                         const at::Tensor& v_BSHK) {
  const int64_t width = q_BLHK.size(3);
  return (width == 64 || width == 128) && fits_attention(q_BLHK, k_BSHK, v_BSHK);
}

bool takes_attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK) {
  if (!q_BLHK.is_cuda() || !fits_attention_int8(q_BLHK, k_BSHK, v_BSHK)) return false;
  const c10::DeviceGuard guard(q_BLHK.device());
  return int8_attention_runs_here();
}

PreparedInt8Attention prepare_attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                                             const at::Tensor& v_BSHK,
                                             const AttentionTerms& terms) {
  PreparedInt8Attention prepared;
  prepared.exact = prepare_attention(q_BLHK, k_BSHK, v_BSHK, terms);
  Int8AttentionProblem& p = prepared.problem;
  static_cast<AttentionProblem&>(p) = prepared.exact.problem;
  p.smooths_keys = terms.far.factor == 1.0;  // which would not see that a positive logit was one
  const int64_t blocks = (p.keys + kInt8Keys - 1) / kInt8Keys;
  p.padded_keys = blocks * kInt8Keys;
  const int64_t width = p.head_width, heads = p.heads, queries = p.batch * heads * p.queries;
  const int64_t key_heads = p.batches_of(p.k) * heads, value_heads = p.batches_of(p.v) * heads;
  const at::TensorOptions options = q_BLHK.options();
  const auto bytes = [&](int64_t count) {
    prepared.arrays.push_back(at::empty({count}, options.dtype(at::kByte)));
    return static_cast<uint8_t*>(prepared.arrays.back().mutable_data_ptr());
  };
  const auto floats = [&](int64_t count) { return reinterpret_cast<float*>(bytes(count * 4)); };
  p.q8 = reinterpret_cast<int8_t*>(bytes(queries * width));
  p.k8 = reinterpret_cast<int8_t*>(bytes(key_heads * p.keys * width));
  p.v8 = bytes(value_heads * p.padded_keys * width);
  p.query_units = floats(queries);
  p.key_units = floats(key_heads * blocks * kInt8KeyGroups);
  p.key_means = floats(key_heads * width);
  p.value_means = floats(value_heads * width);
  p.value_units = floats(value_heads * width);
  p.statistics = floats((key_heads + value_heads) * kStatisticsParts * kStatistics * width);
  return prepared;
}

at::Tensor attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK, const AttentionTerms& terms) {
  const c10::DeviceGuard guard(q_BLHK.device());
  const PreparedInt8Attention prepared = prepare_attention_int8(q_BLHK, k_BSHK, v_BSHK, terms);
  const c10::impl::VirtualGuardImpl device(q_BLHK.device().type());
  launch_attention_int8(prepared.problem,
                        device.getStreamNativeHandle(device.getStream(q_BLHK.device())));
  return prepared.exact.out_BLHK;
}

}  // namespace sora::kernels::cuda
