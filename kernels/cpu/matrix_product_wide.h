// matrix_product.h by the blocks of tile_product_wide.h, whose operands are widened and put in
// order as they are met. Included by units for AVX2 or AVX-512, each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/matrix_product.h"
#include "kernels/cpu/tile_product_wide.h"

namespace sora::kernels::cpu {
namespace {

template <typename Number>
struct MatrixOperands {
  using Arithmetic = Bf16;  // of f32, whatever it was widened from
  const MatrixProduct& product;
  int64_t pieces;

  static const Number* numbers(const void* matrix, int64_t row, int64_t stride, int64_t piece) {
    return static_cast<const Number*>(matrix) + row * stride + piece * kSteps;
  }

  void widen_rows(int64_t block, int64_t piece, float* wide) const {
    for (int64_t i = 0; i < kPieceRows; ++i, wide += kSteps) {
      const int64_t row = block * kPieceRows + i;
      if (row >= product.rows) return;
      const Number* const from = numbers(product.x, row, product.x_stride, piece);
      const int64_t left = product.depth - piece * kSteps;
      for (int64_t k = 0; k < kSteps; k += kLanes)
        store_floats(wide + k, load_first(from + k, left - k));
    }
  }

  void widen_panel(int64_t panel, int64_t piece, float* wide) const {
    const int64_t left = product.depth - piece * kSteps;
    for (int64_t c = 0; c < kPieceRows; c += kLanes) {
      for (int64_t k = 0; k < kSteps; k += kLanes) {
        Words block[kLanes];
        for (int64_t i = 0; i < kLanes; ++i) {
          const int64_t column = panel * kPieceRows + c + i;
          const Number* const from = numbers(product.weight, column, product.weight_stride, piece);
          block[i] = words_of(load_first(from + k, column < product.columns ? left - k : 0));
        }
        transpose(block);
        for (int64_t i = 0; i < kLanes; ++i)
          store_floats(wide + (k + i) * kPieceRows + c, floats_of(block[i]));
      }
    }
  }
};

// Sums get the bias on their way to y.
class MatrixFinish {
 public:
  MatrixFinish(const MatrixProduct& product, int64_t first_row, int64_t num_rows)
      : product_(product), first_row_(first_row), num_rows_(num_rows) {}

  void begin(const float* sums, int64_t panel) {
    sums_ = sums;
    first_column_ = panel * kPieceRows;
  }
  void all() const {
    const int64_t left = product_.columns - first_column_;
    const int64_t count = left < kPieceRows ? left : kPieceRows;
    for (int64_t row = 0; row < num_rows_; ++row) {
      float* const y = product_.y + (first_row_ + row) * product_.columns + first_column_;
      for (int64_t i = 0; i < count; ++i)
        y[i] = sums_[row * kPieceRows + i] +
               (product_.bias != nullptr ? product_.bias[first_column_ + i] : 0.0F);
    }
  }

 private:
  const MatrixProduct& product_;
  int64_t first_row_, num_rows_;
  const float* sums_ = nullptr;
  int64_t first_column_ = 0;
};

template <typename Number>
void multiply_matrix(const MatrixProduct& product, void* scratch) {
  constexpr int64_t kRowsAtOnce = kMostBlocks * kPieceRows;
  const MatrixOperands<Number> operands = {product, (product.depth + kSteps - 1) / kSteps};
  const int64_t panels = (product.columns + kPieceRows - 1) / kPieceRows;
  for (int64_t row = 0; row < product.rows; row += kRowsAtOnce) {
    const int64_t left = product.rows - row, rows = left < kRowsAtOnce ? left : kRowsAtOnce;
    for (int64_t panel = 0; panel < panels; panel += kPanelsAtOnce) {
      const int64_t rest = panels - panel;
      MatrixFinish finish(product, row, rows);
      multiply(operands,
               {row / kPieceRows, (rows + kPieceRows - 1) / kPieceRows, rows, panel,
                rest < kPanelsAtOnce ? rest : kPanelsAtOnce},
               finish, scratch);
    }
  }
}

}  // namespace
}  // namespace sora::kernels::cpu
