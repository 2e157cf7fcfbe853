// Matrix products on the CPU that give the same bytes at any number of threads.
//
// Note [Tiles]. Left to itself the matrix library splits a product over the threads it has, by
// rows, columns or the summed dimension, so that the last bits of the result depend on how many
// there are. Here the split depends on the shape alone: rows (columns, where rows are few) are cut
// into tiles, and each tile is computed by one thread, which the library sees from being called
// inside a parallel region. Measured on 2 cores the tiles cost nothing: from 256 rows on, a tile
// reaches the speed of the whole product, and what it writes is still in the cache when it is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "kernels/cpu/matrix_product.h"
#include "kernels/linear.h"

namespace sora::kernels::cpu {

// The share of tile number `index` of a dimension cut into `count` tiles of `size`, the last one
// shorter.
struct Tiling {
  int64_t total, size, count;
  int64_t begin(int64_t index) const { return index * size; }
  int64_t length(int64_t index) const { return index + 1 < count ? size : total - begin(index); }
};

Tiling row_tiles(int64_t rows);
Tiling column_tiles(int64_t columns);
bool prefers_columns(int64_t rows);

// Calls work(tile) for each, on at most get_num_threads() threads; inside, ATen uses one thread.
void for_each_tile(const Tiling& tiling, const std::function<void(int64_t)>& work);

// x W^T + b in f32, by the calling thread: x [rows, K] and weight [N, K] of the type that
// `multiply` is for.
at::Tensor matrix_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          MultiplyMatrix* multiply);

// activation(x W^T + b) of one tile: x [rows, K], by the calling thread. By the libraries behind
// libtorch, or by matrix_product() where they are slow or heed addresses (processor.h).
at::Tensor linear_tile(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       Activation activation);

}  // namespace sora::kernels::cpu
