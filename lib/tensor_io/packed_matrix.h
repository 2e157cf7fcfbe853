// A matrix of weights kept as it is stored, in 4 to 8 bits a value, and expanded some rows at a
// time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "lib/tensor_io/block_format.h"

namespace sora {

class PackedMatrix {
 public:
  // GGUF's blocks: `bytes` U8 contiguous, the blocks of one row after the other. `num_columns` must
  // be whole blocks.
  PackedMatrix(at::Tensor bytes, const BlockFormat& format, int64_t num_rows, int64_t num_columns);

  // f8 or i8 values [N, K] times `scale` f32, which is one number, one a row [N] or [N, 1], or one
  // for each of equal tiles [N / n, K / k]; undefined: 1. Throws Error(Internal) for another shape.
  PackedMatrix(at::Tensor values_NK, at::Tensor scale);

  // Whether these are values with a scale, which any device expands; blocks are expanded on the
  // CPU.
  bool is_scaled() const { return format_ == nullptr; }
  // The same on another device; is_scaled().
  PackedMatrix to(at::Device device) const;

  int64_t num_rows() const { return num_rows_; }
  int64_t num_columns() const { return num_columns_; }
  int64_t num_bytes() const { return static_cast<int64_t>(stored_.nbytes()); }

  // Rows [begin, end) in `dtype` (f32, bf16, f16), computed in f32 and rounded once: [end - begin,
  // K].
  at::Tensor rows(int64_t begin, int64_t end, at::ScalarType dtype) const;
  at::Tensor all(at::ScalarType dtype) const { return rows(0, num_rows_, dtype); }

 private:
  at::Tensor stored_;
  at::Tensor scale_;
  const BlockFormat* format_ = nullptr;
  int64_t num_rows_, num_columns_;
};

// Whether `scale` can be that of a matrix [num_rows, num_columns].
bool is_scale_of(at::IntArrayRef scale, int64_t num_rows, int64_t num_columns);

}  // namespace sora
