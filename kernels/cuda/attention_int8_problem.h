// One call of attention in 8 bits on Hopper as its kernels see it: the call, and what is quantised
// of it. The numerics are those of Note [8 bits on Hopper] in hopper/attention_int8.h.
#pragma once

#include "kernels/cuda/attention_problem.h"
#include "kernels/cuda/device_code.h"

namespace sora::kernels::cuda {

// Keys that are quantised, read and multiplied together. Of their rows of eight, numbers 2 g and
// 2 g + 1 are of group g, which has a unit of its own.
inline constexpr int kInt8Keys = 96, kInt8KeyGroups = 4;

// Of a channel over keys: sum, least, largest; each first of so many parts of the keys.
inline constexpr int kStatistics = 3, kStatisticsParts = 32;

// Dense arrays, of H heads of K numbers, 64 or 128; B is 1 where one batch serves all, and S' is
// `padded_keys`. A number is its int8 or e4m3 times its unit.
struct Int8AttentionProblem : AttentionProblem {
  bool smooths_keys;    // whether keys are quantised less their mean, which a softmax does not see
  int64_t padded_keys;  // keys, up to whole blocks of kInt8Keys
  int8_t* q8;           // [B, H, L, K]
  int8_t* k8;           // [B, H, S, K]
  uint8_t* v8;          // [B, H, K, S'], keys permuted within each 16, zero from S on
  float* query_units;   // [B, H, L], times the scale of products
  float* key_units;     // [B, H, S' / kInt8Keys, kInt8KeyGroups]
  float *key_means, *value_means, *value_units;  // [B, H, K]
  float* statistics;  // [k and v, B, H, kStatisticsParts, kStatistics, K]

  SORA_DEVICE int64_t head_of(const Rows& rows, int in_batch, int head) const {
    return (rows.batch_stride ? in_batch : 0) * static_cast<int64_t>(heads) + head;
  }
  SORA_DEVICE const float* query_units_of(int in_batch, int head) const {
    return query_units + (static_cast<int64_t>(in_batch) * heads + head) * queries;
  }
  SORA_DEVICE const float* key_units_of(int in_batch, int head) const {
    return key_units + head_of(k, in_batch, head) * (padded_keys / kInt8Keys) * kInt8KeyGroups;
  }
  SORA_DEVICE const float* value_units_of(int in_batch, int head) const {
    return value_units + head_of(v, in_batch, head) * head_width;
  }
  SORA_DEVICE const float* value_means_of(int in_batch, int head) const {
    return value_means + head_of(v, in_batch, head) * head_width;
  }
  int batches_of(const Rows& rows) const { return rows.batch_stride ? batch : 1; }
};

// Whether this build has the kernels and the current device is one of compute capability 9.0.
bool int8_attention_runs_here();

// Quantises and attends, on a cudaStream_t. Throws std::runtime_error with CUDA's own words where a
// kernel cannot be launched, or in a build without them.
void launch_attention_int8(const Int8AttentionProblem& problem, void* stream);

}  // namespace sora::kernels::cuda
