// From the product of one query and one key to a probability, as every form for GPUs computes it:
// what a call adds, and the softmax with a running maximum and sum (FlashAttention-2, arXiv
// 2307.08691).
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

// How soften_rows reads logits.
struct PlainSoftmax {
  static constexpr float kZero = 0.0F;  // what stands for a logit of 0
  static constexpr float kLift = 0.0F;  // probabilities are larger by so many powers of two
};

// Logits become probabilities but for a factor of the row. In units of the row's `unit` they count
// in powers of two, as `largest` does. A thread holds two rows in halves of each piece, and four
// neighbours of a warp share a row; their units may differ. `largest` and `sum` follow; what has
// been gathered of a row is to be multiplied by `shrink`.
template <class Form, int kPieces, class Machine>
SORA_DEVICE void soften_rows(Machine& machine, float (&logits)[kPieces][4], const float (&unit)[2],
                             float (&largest)[2], float (&sum)[2], float (&shrink)[2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float found = kNothing;
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece)
      found = machine.larger(found,
                             machine.larger(logits[piece][half * 2], logits[piece][half * 2 + 1]));
    found = machine.largest_of_quad((found - Form::kZero) * unit[half]);
    found = machine.larger(found, largest[half]);
    const float top = found == kNothing ? 0.0F : found;  // of nothing but hidden keys: all zero
    shrink[half] = machine.exp2(largest[half] - top);
    largest[half] = found;
    const float base = top - Form::kLift + Form::kZero * unit[half];
    float added = 0.0F;
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece) {
#pragma unroll
      for (int i = half * 2; i < half * 2 + 2; ++i) {
        logits[piece][i] = machine.exp2(logits[piece][i] * unit[half] - base);
        added += logits[piece][i];
      }
    }
    sum[half] = sum[half] * shrink[half] + added;
  }
}

}  // namespace sora::kernels::cuda
