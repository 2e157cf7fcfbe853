// Attention in 8 bits on Hopper as its launch sees it.
#pragma once

#include "kernels/cuda/hopper/attention_tile.h"

namespace sora::kernels::cuda::hopper {

// What is quantised of a call, for TMA: dense arrays [batches, H, rows, columns].
inline TileSource dense_source(const void* data, int64_t batches, int64_t heads, int64_t rows,
                               int64_t columns, int32_t box_rows) {
  return {.data = data,
          .number_bytes = 1,
          .box_rows = box_rows,
          .sizes = {columns, rows, heads, batches},
          .strides = {columns, columns * rows, columns * rows * heads}};
}

template <class Tile>
AttentionMaps<TileSource> sources_of(const Int8AttentionProblem& p) {
  return {
      dense_source(p.q8, p.batch, p.heads, p.queries, p.head_width, Tile::kQueries),
      dense_source(p.k8, p.batches_of(p.k), p.heads, p.keys, p.head_width, Tile::kKeys),
      dense_source(p.v8, p.batches_of(p.v), p.heads, p.head_width, p.padded_keys, Tile::kWidth)};
}

}  // namespace sora::kernels::cuda::hopper
