// One call of attention as a kernel sees it: addresses and strides, no tensors. The equation is
// that of kernels/attention.h; the shapes are L queries, S keys, H heads of K numbers, B batches.
#pragma once

#include <cstdint>

namespace sora::kernels::cuda {

// Strides count numbers, not bytes; the last dimension is dense. Each row of K numbers begins at a
// multiple of 16 bytes.
struct Rows {
  const uint16_t* data;  // bf16
  int64_t batch_stride, row_stride, head_stride;
};

struct AttentionProblem {
  Rows q, k, v;
  uint16_t* out;  // [B, L, H, K], dense
  int32_t batch, queries, keys, heads, head_width;
  float scale;  // of the products, 1 / sqrt(K)
  // Each of these may be null.
  const float* bias;  // [B, S]
  int64_t bias_batch_stride;
  const int64_t* num_keys;     // [B]
  const float* table;          // [rows, table_columns]
  const int32_t* query_rows;   // [L]: each query's row of the table
  const int32_t* key_columns;  // [S]: each key's column
  int32_t table_columns;
  int64_t far_window;
  float far_factor;  // 1: none

  bool has_terms() const { return bias || num_keys || table || far_factor != 1.0F; }
};

// Whether this build holds the kernels; without them `launch_attention` throws std::runtime_error.
bool built_with_cuda();

// Whether it holds code of them that the current device can run.
bool attention_runs_here();

// Which instructions a kernel is made of: those of sm_80 and later (mma.sync, cp.async), for heads
// of 16 to 256 numbers in steps of 8, or those of sm_90a (wgmma, TMA), for 64 and 128.
enum class Instructions { Ampere, Hopper };

// Of the current device, those that suit it best for this problem.
Instructions best_instructions(const AttentionProblem& problem);

// Runs the kernel on a cudaStream_t. Throws std::runtime_error with CUDA's own words where it
// cannot be launched.
void launch_attention(const AttentionProblem& problem, Instructions instructions, void* stream);

}  // namespace sora::kernels::cuda
