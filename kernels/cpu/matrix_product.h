// y = x W^T + bias of operands that lie as tensors hold them, f32 or bf16, by multiply-adds of f32:
// for products that the libraries behind libtorch do not do well (processor.h).
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

struct MatrixProduct {
  const void* x;  // [rows][depth], rows `x_stride` numbers apart
  int64_t x_stride;
  const void* weight;  // [columns][depth], likewise
  int64_t weight_stride;
  const float* bias;  // [columns]; null: 0
  int64_t rows, columns, depth;
  float* y;  // [rows][columns]
};

// By the calling thread. A sum is made in the order of the depth, whatever the other numbers are.
// `scratch`: matrix_product_scratch() bytes, 64-byte aligned.
using MultiplyMatrix = void(const MatrixProduct& product, void* scratch);
MultiplyMatrix multiply_matrix_f32_avx2;
MultiplyMatrix multiply_matrix_f32_avx512;
MultiplyMatrix multiply_matrix_bf16_avx2;
constexpr int64_t kPanelsAtOnce = 16;  // of 32 columns, whose sums wait in a cache
int64_t matrix_product_scratch(int64_t depth);

}  // namespace sora::kernels::cpu
