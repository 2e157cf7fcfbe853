// What a call adds to the product of one query and one key, as every form for GPUs reads it.
#pragma once

#include "kernels/cuda/attention_problem.h"
#include "kernels/cuda/device_code.h"

namespace sora::kernels::cuda {

inline constexpr float kLog2E = 1.44269504088896340736F;
inline constexpr float kNothing = -__builtin_huge_valf();  // the logit of a hidden key

// The keys of a batch that are to be seen, from the first on.
template <bool kTerms>
SORA_DEVICE int visible_keys(const AttentionProblem& p, int batch) {
  if (kTerms && p.num_keys && p.num_keys[batch] < p.keys)
    return static_cast<int>(p.num_keys[batch]);
  return p.keys;
}

// The logit of a scaled product. Queries past the last are read as the last; key is one of p.keys.
SORA_DEVICE float with_terms(const AttentionProblem& p, int batch, int query, int key, float x) {
  if (query >= p.queries) query = p.queries - 1;
  const int distance = query > key ? query - key : key - query;
  if (distance > p.far_window && x > 0.0F) x *= p.far_factor;
  if (p.bias) x += p.bias[batch * p.bias_batch_stride + key];
  if (p.table) x += p.table[p.query_rows[query] * p.table_columns + p.key_columns[key]];
  return x;
}

}  // namespace sora::kernels::cuda
