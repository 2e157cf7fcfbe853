// The last step of tile_product.h: the sums of 32 columns get scales, bias and activation and are
// rounded to bf16, a row at a time. Included by the forms of the product, each of which compiles
// its own copy.
#pragma once

#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/power_of_two_avx512.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kSums = kPieceRows * kPieceRows;
constexpr int64_t kRowsAhead = 8;

inline __m512 gated(__m512 z, SigmoidGate gate) {
  constexpr float kLog2E = 1.44269504F;
  const __m512 slope = _mm512_fmadd_ps(_mm512_mul_ps(z, z), _mm512_set1_ps(-gate.b * kLog2E),
                                       _mm512_set1_ps(-gate.a * kLog2E));
  const __m512 u = _mm512_mul_ps(z, slope);
  // Beyond, the reciprocal is no normal number, which takes the processor long: it counts as 0.
  const __mmask16 in_range = _mm512_cmp_ps_mask(u, _mm512_set1_ps(126.0F), _CMP_NGT_UQ);
  const __m512 e = power_of_two(u);
  return _mm512_mul_ps(z, _mm512_maskz_rcp14_ps(in_range, _mm512_add_ps(_mm512_set1_ps(1.0F), e)));
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
  __attribute__((always_inline)) __m512 half(int64_t row, int64_t first) const {
    const float* sums = sums_ + row * kPieceRows + first;
    const int64_t column = panel_ * kPieceRows + first;
    __m512 z = _mm512_load_ps(sums);
    if (kInt8) {
      __m512i whole = _mm512_castps_si512(z);
      if (product_.column_offset != nullptr)
        whole = _mm512_sub_epi32(whole, _mm512_loadu_si512(product_.column_offset + column));
      const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(product_.column_scale + column),
                                         _mm512_set1_ps(product_.row_scale[first_row_ + row]));
      z = _mm512_mul_ps(_mm512_cvtepi32_ps(whole), scale);
    }
    if (product_.bias != nullptr) z = _mm512_add_ps(z, _mm512_loadu_ps(product_.bias + column));
    return product_.gate.a != 0.0F ? gated(z, product_.gate) : z;
  }

  void finish_row(int64_t row) const {
    const __m512 low = half(row, 0), high = half(row, kLanes);
    const __m512i y = rounded(low, high);
    const int64_t place = first_row_ + row;
    if (product_.packed_y != nullptr) {
      const int64_t panels = (product_.columns + kPieceRows - 1) / kPieceRows;
      const int64_t piece = place / kPieceRows * panels + panel_;
      _mm512_storeu_si512(product_.packed_y + piece * kSums + place % kPieceRows * kPieceRows, y);
      return;
    }
    uint16_t* const to = product_.y + place * product_.columns + panel_ * kPieceRows;
    // Rows are far apart: their lines are asked for before they are written.
    _mm_prefetch(to + kRowsAhead * product_.columns, _MM_HINT_T0);
    const __mmask32 mask = first_of_32(product_.columns - panel_ * kPieceRows);
    _mm512_mask_storeu_epi16(to, mask, y);
  }

  const TileProduct& product_;
  int64_t first_row_, num_rows_, row_;
  const float* sums_ = nullptr;
  int64_t panel_ = 0;
};

}  // namespace
}  // namespace sora::kernels::cpu
