// The products of linear.h, feed_forward.h and linear_int8.h with weights packed beforehand:
// tile_product.h on tensors, shared out to threads.
//
// Against libtorch's oneDNN: tests/kernels/linear_bench.cpp.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/cpu/processor.h"
#include "kernels/feed_forward.h"
#include "kernels/linear.h"
#include "kernels/linear_int8.h"

namespace sora::kernels::cpu {

// The pieces of weight [N, K], a copy of it: [N/32, K/32, 1024]. Undefined where the processor or
// type is not what they are for, and where all copies together would take more than half of the
// machine's memory.
at::Tensor pack_tiles(const at::Tensor& weight);

// Any but Gelu.
bool has_tile_activation(Activation activation);

// x [rows, K] bf16 contiguous, y [rows, N] likewise; packed from pack_tiles; bias bf16 or
// undefined.
void tile_linear(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                 Activation activation, const at::Tensor& y,
                 Processor processor = bf16_processor());

// How many of the rows that are left have a feed-forward's inner activation next: not so few in the
// end that reading all weights for them would take long.
int64_t inner_rows(int64_t rest);

// The inner activation exists for some rows at a time, in the order that the second product reads.
void tile_feed_forward(const at::Tensor& x, const FeedForwardWeights& weights,
                       Activation activation, const at::Tensor& y);

// The same in int8, on any processor.
Int8Weight quantise_tiles(const at::Tensor& weight);
void tile_linear_int8(const at::Tensor& x, const Int8Weight& weight, const at::Tensor& bias,
                      Activation activation, const at::Tensor& y,
                      Processor processor = this_processor());

}  // namespace sora::kernels::cpu
