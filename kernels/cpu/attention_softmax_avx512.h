// The softmax between the two products of attention_group.h on AVX-512, row by row and with pauses,
// so that it can be interleaved with the products. Note [Lazy maximum] there. Probabilities are as
// the second product reads them: bf16 (`Number` is uint16_t) or float. Included by units for such
// processors only, each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/far_scores_avx512.h"
#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/power_of_two_avx512.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kMaxSoftmaxRows = 48;
constexpr float kHidden = -__builtin_inff();

// Of a block of queries.
struct alignas(64) SoftmaxState {
  float sums[2][kMaxSoftmaxRows]
            [16];                    // of probabilities in 16 parts; as of the tile before, and now
  float m[kMaxSoftmaxRows];          // -inf: no key was visible yet
  float rescaling[kMaxSoftmaxRows];  // of what was summed before the present chunk
  int64_t current;                   // of the two sums
  bool has_rescaling;
  bool is_settled;  // every row has an m
};

class SoftmaxRows {
 public:
  SoftmaxRows() = default;
  explicit SoftmaxRows(SoftmaxState* state) : state_(state) {}

  void begin() const {
    *state_ = SoftmaxState();
    for (float& m : state_->m) m = kHidden;
    for (float& factor : state_->rescaling) factor = 1.0F;
  }
  float sum(int64_t row) const {
    return _mm512_reduce_add_ps(_mm512_load_ps(state_->sums[state_->current][row]));
  }
  // Whether what was summed before the present chunk is to be scaled, and each row's factor: asked
  // once for each time that it is.
  bool take_rescaling() const {
    const bool any = state_->has_rescaling;
    state_->has_rescaling = false;
    return any;
  }
  float take_rescaling(int64_t row) const {
    const float factor = state_->rescaling[row];
    state_->rescaling[row] = 1.0F;
    return factor;
  }
  SoftmaxState& state() const { return *state_; }

 private:
  SoftmaxState* state_ = nullptr;
};

// 32 probabilities of a row: taken from registers; scaled where they are.
inline void store_probabilities(uint16_t* to, __m512 low, __m512 high) {
  _mm512_store_si512(to, rounded(low, high));
}
inline void store_probabilities(float* to, __m512 low, __m512 high) {
  _mm512_store_ps(to, low);
  _mm512_store_ps(to + kLanes, high);
}
inline void scale_probabilities(uint16_t* p, __m512 factor) {
  for (int64_t i = 0; i < kKeysInTile; i += kLanes) {
    auto* const sixteen = reinterpret_cast<__m256i*>(p + i);
    _mm256_storeu_si256(sixteen,
                        rounded(_mm512_mul_ps(widened(_mm256_loadu_si256(sixteen)), factor)));
  }
}
inline void scale_probabilities(float* p, __m512 factor) {
  for (int64_t i = 0; i < kKeysInTile; i += kLanes)
    _mm512_store_ps(p + i, _mm512_mul_ps(_mm512_load_ps(p + i), factor));
}

// Rows of a tile whose logits are their scores times a scale: no bias, no far key, and an m each.
// Where they are and where their probabilities and sums go.
struct PlainRows {
  const float* scores;      // [rows][32]
  uint16_t* probabilities;  // [rows][32]
  const float* m;           // [rows]
  const float* before;      // [rows][16], sums as of the tile before
  float* now;               // [rows][16]
};

// The first `kCount` of `rows`, which are moved on. Inlined where the tile unit multiplies: its
// constants stay in registers. `highest`: the largest sum of two probabilities so far.
template <int kCount>
__attribute__((always_inline)) inline void soften(PlainRows& rows, __m512 scale, __m512& highest) {
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    const __m512 m = _mm512_set1_ps(rows.m[i]);
    const float* const scores = rows.scores + i * kKeysInTile;
    const __m512 x = _mm512_fmsub_ps(_mm512_load_ps(scores), scale, m);
    const __m512 y = _mm512_fmsub_ps(_mm512_load_ps(scores + kLanes), scale, m);
    const __m512 low = power_of_two(x), high = power_of_two(y), both = _mm512_add_ps(low, high);
    highest = _mm512_max_ps(both, highest);
    _mm512_store_ps(rows.now + i * kLanes,
                    _mm512_add_ps(_mm512_load_ps(rows.before + i * kLanes), both));
    store_probabilities(rows.probabilities + i * kKeysInTile, low, high);
  }
  rows.scores += kCount * kKeysInTile;
  rows.probabilities += kCount * kKeysInTile;
  rows.m += kCount;
  rows.before += kCount * kLanes;
  rows.now += kCount * kLanes;
}

// Turns tiles of scores [rows][32] into tiles of probabilities [rows][32] and their sums, as
// many rows at a time as it is told to, never beyond the tiles that were added. There is room for
// kScoreTiles tiles of scores: a tile takes the place of the one so many before it, whose rows are
// to be done by then.
template <int64_t kRows, int64_t kScoreTiles, typename Number = uint16_t>
class TileSoftmax {
 public:
  TileSoftmax(const AttentionGroup& group, SoftmaxRows rows, int64_t first_row,
              const int32_t* tiles, const float* scores, Number* probabilities)
      : group_(group),
        state_(rows.state()),
        first_row_(first_row),
        tiles_(tiles),
        scores_(scores),
        probabilities_(probabilities),
        scale_(_mm512_set1_ps(group.scale)) {}

  void add_tile() { end_ += kRows; }
  bool has_rows() const { return next_ < end_; }
  __m512 scale() const { return scale_; }
  __m512 highest() const { return highest_; }

  // Whether the next rows, of a tile that was added, are plain: then they may be done without
  // run().
  bool begin_plain_rows() {
    if (next_ % kRows == 0) begin_tile();
    return bias_ == nullptr && !far_ && !careful_;
  }
  PlainRows plain_rows() const {
    const int64_t row = next_ % kRows;
    return {scores_of(row), probabilities_ + next_ * kKeysInTile, state_.m + row,
            state_.sums[state_.current][row], state_.sums[state_.current ^ 1][row]};
  }
  // After `count` of them, which were not beyond the tile, with their highest().
  void end_plain_rows(int64_t count, __m512 highest) {
    highest_ = highest;
    next_ += count;
    if (next_ % kRows == 0) end_tile();
  }

  // Until those before `row` are done, counted from the first tile's first.
  void run_to(int64_t row) {
    if (next_ < row) run(row - next_);
  }

  __attribute__((always_inline)) void run(int64_t rows) {
    if (rows > end_ - next_) rows = end_ - next_;
    while (rows > 0) {
      const int64_t row = next_ % kRows;
      if (row == 0) begin_tile();
      const int64_t left = kRows - row;
      const int64_t count = rows < left ? rows : left;
      (this->*form_)(row, row + count);
      next_ += count;
      rows -= count;
      if (row + count == kRows) end_tile();
    }
  }

 private:
  static constexpr float kMostAbove = 30.0F, kMostProbability = 0x1p30F;
  struct Logits {
    __m512 low, high;
  };

  // Of the present tile.
  const float* scores_of(int64_t row) const {
    return scores_ + (tile_ % kScoreTiles * kRows + row) * kKeysInTile;
  }

  void begin_tile() {
    tile_ = next_ / kRows;
    const int64_t number = tiles_[tile_];
    bias_ = group_.bias != nullptr       ? group_.bias + number * kKeysInTile
            : number == group_.last_tile ? group_.last_bias
                                         : nullptr;
    first_key_ = number * kKeysInTile - group_.first_token;  // counted from the group's row 0
    const int64_t below = first_row_ + kRows - 1 - first_key_;
    const int64_t above = first_key_ + kKeysInTile - 1 - first_row_;
    far_ = group_.scales_far && (below > group_.window || above > group_.window);
    highest_ = _mm512_setzero_ps();
    choose(state_.is_settled);
  }

  void choose(bool settled) {
    static constexpr Form kForms[2][2][2] = {
        {{&TileSoftmax::careful<false, false>, &TileSoftmax::quick<false, false>},
         {&TileSoftmax::careful<false, true>, &TileSoftmax::quick<false, true>}},
        {{&TileSoftmax::careful<true, false>, &TileSoftmax::quick<true, false>},
         {&TileSoftmax::careful<true, true>, &TileSoftmax::quick<true, true>}}};
    form_ = kForms[bias_ != nullptr][far_][settled];
    careful_ = !settled;
  }

  void end_tile() {
    // Beyond that of a logit kMostAbove over its m, a probability or two of them together.
    if (!careful_ && !(_mm512_reduce_max_ps(highest_) <= kMostProbability)) {
      choose(false);
      (this->*form_)(0, kRows);
    }
    state_.current ^= 1;
    if (careful_) {
      state_.is_settled = true;
      for (int64_t row = 0; row < kRows; ++row)
        state_.is_settled = state_.is_settled && state_.m[row] != kHidden;
    }
  }

  // Logits in powers of two, before m is taken away; `minus_m` is added on the way.
  template <bool kBiased, bool kFar>
  __attribute__((always_inline)) Logits logits(int64_t row, __m512 minus_m) const {
    const float* scores = scores_of(row);
    __m512 low = _mm512_load_ps(scores), high = _mm512_load_ps(scores + 16);
    if (kFar) {
      const int64_t token = first_row_ + row;
      low = scaled_if_far(group_, low, first_key_ - token);
      high = scaled_if_far(group_, high, first_key_ + kLanes - token);
    }
    __m512 add_low = minus_m, add_high = minus_m;
    if (kBiased) {
      add_low = _mm512_add_ps(minus_m, _mm512_loadu_ps(bias_));
      add_high = _mm512_add_ps(minus_m, _mm512_loadu_ps(bias_ + 16));
    }
    return {_mm512_fmadd_ps(low, scale_, add_low), _mm512_fmadd_ps(high, scale_, add_high)};
  }

  // Returns the sums of two probabilities each.
  __attribute__((always_inline)) __m512 put(int64_t row, Logits x) {
    const __m512 low = power_of_two(x.low), high = power_of_two(x.high);
    float(*now)[16] = state_.sums[state_.current ^ 1];
    float(*before)[16] = state_.sums[state_.current];
    const __m512 both = _mm512_add_ps(low, high);
    _mm512_store_ps(now[row], _mm512_add_ps(_mm512_load_ps(before[row]), both));
    store_probabilities(probabilities_ + (tile_ * kRows + row) * kKeysInTile, low, high);
    return both;
  }

  template <bool kBiased, bool kFar>
  void quick(int64_t row, int64_t stop) {
    __m512 highest = highest_;
    for (; row < stop; ++row) {
      const Logits x = logits<kBiased, kFar>(row, _mm512_set1_ps(-state_.m[row]));
      highest = _mm512_max_ps(put(row, x), highest);
    }
    highest_ = highest;
  }

  template <bool kBiased, bool kFar>
  void careful(int64_t row, int64_t stop) {
    for (; row < stop; ++row) {
      const Logits x = logits<kBiased, kFar>(row, _mm512_setzero_ps());
      const float top = _mm512_reduce_max_ps(_mm512_max_ps(x.low, x.high));
      const float before = state_.m[row];
      if (before == kHidden ? top != kHidden : top > before + kMostAbove) raise(row, top);
      const float m = state_.m[row];
      const __m512 minus_m = _mm512_set1_ps(m == kHidden ? 0.0F : -m);
      put(row, logits<kBiased, kFar>(row, minus_m));
    }
  }

  // Gives the row a new m.
  void raise(int64_t row, float top) {
    const float before = state_.m[row];
    const float m = __builtin_ceilf(top);
    state_.m[row] = m;
    if (before == kHidden) return;
    const __m512 factor = power_of_two(_mm512_set1_ps(before - m));
    float* sums = state_.sums[state_.current][row];
    _mm512_store_ps(sums, _mm512_mul_ps(_mm512_load_ps(sums), factor));
    for (int64_t t = 0; t < tile_; ++t)
      scale_probabilities(probabilities_ + (t * kRows + row) * kKeysInTile, factor);
    state_.rescaling[row] *= _mm512_cvtss_f32(factor);
    state_.has_rescaling = true;
  }

  using Form = void (TileSoftmax::*)(int64_t, int64_t);

  const AttentionGroup& group_;
  SoftmaxState& state_;
  int64_t first_row_;
  const int32_t* tiles_;
  const float* scores_;
  Number* probabilities_;
  __m512 scale_, highest_;
  int64_t next_ = 0, end_ = 0, tile_ = 0;
  Form form_ = nullptr;
  const float* bias_ = nullptr;
  int64_t first_key_ = 0;
  bool far_ = false, careful_ = false;
};

}  // namespace
}  // namespace sora::kernels::cpu
