#include "kernels/attention.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace sora::kernels::reference {
namespace {

at::Tensor scaled_where_far(const at::Tensor& logits_BHLS, const FarScale& far) {
  const auto options = at::TensorOptions(at::kLong).device(logits_BHLS.device());
  const at::Tensor l = at::arange(logits_BHLS.size(2), options).unsqueeze(1);
  const at::Tensor s = at::arange(logits_BHLS.size(3), options);
  const at::Tensor chosen = ((l - s).abs() > far.window).logical_and(logits_BHLS > 0);
  return at::where(chosen, logits_BHLS * far.factor, logits_BHLS);
}

}  // namespace

at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const AttentionTerms& terms) {
  const at::Tensor q = q_BLHK.transpose(1, 2).to(at::kFloat);
  const at::Tensor k = k_BSHK.transpose(1, 2).to(at::kFloat);
  const at::Tensor v = v_BSHK.transpose(1, 2).to(at::kFloat);
  at::Tensor logits = at::matmul(q, k.transpose(2, 3)) / std::sqrt(static_cast<double>(q.size(3)));
  const int64_t queries = q.size(2), keys = k.size(2);
  if (terms.far.factor != 1.0) logits = scaled_where_far(logits, terms.far);
  if (terms.bias_BS.defined()) logits = logits + terms.bias_BS.unsqueeze(1).unsqueeze(1);
  if (terms.table.defined()) {
    const at::Device device = q.device();
    logits = logits + terms.table.values_RC
                          .index_select(0, range_numbers(terms.table.row_ends, queries, device))
                          .index_select(1, range_numbers(terms.table.column_ends, keys, device));
  }
  if (terms.num_keys_B.defined()) {
    const at::Tensor hidden =
        at::arange(keys, terms.num_keys_B.options()) >= terms.num_keys_B.unsqueeze(1);
    logits = logits.masked_fill(hidden.unsqueeze(1).unsqueeze(1),
                                -std::numeric_limits<double>::infinity());
  }
  const at::Tensor probabilities = at::softmax(logits, -1).to(q_BLHK.scalar_type()).to(at::kFloat);
  return at::matmul(probabilities, v).transpose(1, 2).contiguous().to(q_BLHK.scalar_type());
}

}  // namespace sora::kernels::reference
