// Attention on Hopper as launch_attention sees it.
#pragma once

#include "kernels/cuda/hopper/attention_tile.h"

namespace sora::kernels::cuda::hopper {

// Whether the shapes and strides are such that TMA can read them and a kernel is there: heads of
// 64 or 128 numbers; no dimension of several repeats one.
inline bool takes(const AttentionProblem& p) {
  const auto moves = [](const Rows& rows, int32_t count, int32_t heads) {
    return (count == 1 || rows.row_stride > 0) && (heads == 1 || rows.head_stride > 0) &&
           rows.batch_stride >= 0;
  };
  return (p.head_width == 64 || p.head_width == 128) && moves(p.q, p.queries, p.heads) &&
         moves(p.k, p.keys, p.heads) && moves(p.v, p.keys, p.heads);
}

// A dimension of one is never stepped along; its stride still has to be one that TMA takes.
inline TileSource source_of(const Rows& rows, const AttentionProblem& p, int32_t count,
                            int32_t box_rows) {
  constexpr int64_t kNumberBytes = 2;
  const auto stride = [&](int64_t numbers, int64_t size) {
    return size == 1 ? p.head_width * kNumberBytes : numbers * kNumberBytes;
  };
  const int64_t batches = rows.batch_stride ? p.batch : 1;
  return {.data = rows.data,
          .number_bytes = kNumberBytes,
          .box_rows = box_rows,
          .sizes = {p.head_width, count, p.heads, batches},
          .strides = {stride(rows.row_stride, count), stride(rows.head_stride, p.heads),
                      stride(rows.batch_stride, batches)}};
}

template <class Tile>
AttentionMaps<TileSource> sources_of(const AttentionProblem& p) {
  return {source_of(p.q, p, p.queries, Tile::kQueries), source_of(p.k, p, p.keys, Tile::kKeys),
          source_of(p.v, p, p.keys, Tile::kKeys)};
}

// Whether this build has the kernels and the current device is one of compute capability 9.0.
bool runs_here();

// Runs the kernel on a cudaStream_t; the problem is one that it takes.
void launch_attention(const AttentionProblem& problem, void* stream);

}  // namespace sora::kernels::cuda::hopper
