// The last step of tile_product.h: the sums of 32 columns get scales, bias and activation and are
// rounded to bf16, a row at a time. Included by the forms of the product, each of which compiles
// its own copy.
#pragma once

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/power_of_two.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kSums = kPieceRows * kPieceRows;
constexpr int64_t kRowsAhead = 8;

inline Floats gated(Floats z, SigmoidGate gate) {
  constexpr float kLog2E = 1.44269504F;
  const Floats slope = multiply_add(z * z, splat(-gate.b * kLog2E), splat(-gate.a * kLog2E));
  return z * base_2_sigmoid_of_minus(z * slope);
}

template <bool kInt8>
class Finish {
 public:
  Finish(const TileProduct& product, int64_t first_block, int64_t num_blocks)
      : product_(product), first_row_(first_block * kPieceRows) {
    num_rows_ = num_blocks * kPieceRows;
    if (num_rows_ > product.rows - first_row_) num_rows_ = product.rows - first_row_;
    row_ = num_rows_;
  }

  // The sums [blocks][32][32] of a panel, which must stay until all() has been called.
  void begin(const float* sums, int64_t panel) {
    sums_ = sums;
    panel_ = panel;
    row_ = 0;
  }
  __attribute__((always_inline)) void step() {
    if (row_ < num_rows_) finish_row(row_++);
  }
  void all() {
    while (row_ < num_rows_) finish_row(row_++);
  }

 private:
  // kLanes numbers of a row, `first` of them before.
  __attribute__((always_inline)) Floats part(int64_t row, int64_t first) const {
    const float* const sums = sums_ + row * kPieceRows + first;
    const int64_t column = panel_ * kPieceRows + first;
    Floats z = load_floats(sums);
    if (kInt8) {
      const int32_t* const offset =
          product_.column_offset != nullptr ? product_.column_offset + column : nullptr;
      z = whole_numbers(z, offset) *
          (load_any(product_.column_scale + column) * splat(product_.row_scale[first_row_ + row]));
    }
    if (product_.bias != nullptr) z = z + load_any(product_.bias + column);
    return product_.gate.a != 0.0F ? gated(z, product_.gate) : z;
  }

  void finish_row(int64_t row) const {
    uint16_t* to;
    int64_t count = kPieceRows;
    Floats y[kRegistersOf32];
#pragma GCC unroll 4
    for (int64_t i = 0; i < kRegistersOf32; ++i) y[i] = part(row, i * kLanes);
    const int64_t place = first_row_ + row;
    if (product_.packed_y != nullptr) {
      const int64_t panels = (product_.columns + kPieceRows - 1) / kPieceRows;
      const int64_t piece = place / kPieceRows * panels + panel_;
      to = product_.packed_y + piece * kSums + place % kPieceRows * kPieceRows;
    } else {
      to = product_.y + place * product_.columns + panel_ * kPieceRows;
      count = product_.columns - panel_ * kPieceRows;
      // Rows are far apart: their lines are asked for before they are written.
      _mm_prefetch(to + kRowsAhead * product_.columns, _MM_HINT_T0);
    }
    store_bf16(to, count, y);
  }

  const TileProduct& product_;
  int64_t first_row_, num_rows_, row_;
  const float* sums_ = nullptr;
  int64_t panel_ = 0;
};

}  // namespace
}  // namespace sora::kernels::cpu
