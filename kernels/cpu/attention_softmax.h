// The softmax between the two products of attention_group.h, row by row and with pauses, so that it
// can be interleaved with the products. Note [Lazy maximum] there. Probabilities are as the second
// product reads them: bf16 (`Number` is uint16_t) or float. Included by units for AVX2 or AVX-512,
// each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/far_scores.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/power_of_two.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kMaxSoftmaxRows = 48;
constexpr int64_t kSumRegisters = 16 / kLanes;  // of a row's probabilities
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
  float sum(int64_t row) const { return sum_of_16(state_->sums[state_->current][row]); }
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
inline void store_probabilities(uint16_t* to, const Floats (&p)[kRegistersOf32]) {
  store_bf16(to, kKeysInTile, p);
}
inline void store_probabilities(float* to, const Floats (&p)[kRegistersOf32]) {
#pragma GCC unroll 4
  for (int64_t i = 0; i < kRegistersOf32; ++i) store_floats(to + i * kLanes, p[i]);
}
inline void scale_probabilities(uint16_t* p, Floats factor) {
  for (int64_t i = 0; i < kKeysInTile; i += kLanes) store_bf16(p + i, widened(p + i) * factor);
}
inline void scale_probabilities(float* p, Floats factor) {
  for (int64_t i = 0; i < kKeysInTile; i += kLanes)
    store_floats(p + i, load_floats(p + i) * factor);
}

// now = before + p, in 16 parts; `highest`: the largest sum of two probabilities so far.
inline void add_up(const Floats (&p)[kRegistersOf32], const float* before, float* now,
                   Floats& highest) {
#pragma GCC unroll 2
  for (int64_t i = 0; i < kSumRegisters; ++i) {
    const Floats both = p[i] + p[i + kSumRegisters];
    highest = larger(both, highest);
    store_floats(now + i * kLanes, load_floats(before + i * kLanes) + both);
  }
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
__attribute__((always_inline)) inline void soften(PlainRows& rows, Floats scale, Floats& highest) {
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    const Floats m = splat(rows.m[i]);
    const float* const scores = rows.scores + i * kKeysInTile;
    Floats p[kRegistersOf32];
#pragma GCC unroll 4
    for (int64_t j = 0; j < kRegistersOf32; ++j)
      p[j] = power_of_two(load_floats(scores + j * kLanes) * scale - m);
    add_up(p, rows.before + i * 16, rows.now + i * 16, highest);
    store_probabilities(rows.probabilities + i * kKeysInTile, p);
  }
  rows.scores += kCount * kKeysInTile;
  rows.probabilities += kCount * kKeysInTile;
  rows.m += kCount;
  rows.before += kCount * 16;
  rows.now += kCount * 16;
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
        scale_(splat(group.scale)) {}

  void add_tile() { end_ += kRows; }
  bool has_rows() const { return next_ < end_; }
  Floats scale() const { return scale_; }
  Floats highest() const { return highest_; }

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
  void end_plain_rows(int64_t count, Floats highest) {
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
    Floats parts[kRegistersOf32];
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
    highest_ = zeros();
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
    if (!careful_ && !(largest_of(highest_) <= kMostProbability)) {
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
  __attribute__((always_inline)) Logits logits(int64_t row, Floats minus_m) const {
    const float* const scores = scores_of(row);
    Logits x;
#pragma GCC unroll 4
    for (int64_t i = 0; i < kRegistersOf32; ++i) {
      Floats score = load_floats(scores + i * kLanes), added = minus_m;
      if (kFar) score = scaled_if_far(group_, score, first_key_ + i * kLanes - first_row_ - row);
      if (kBiased) added = minus_m + load_any(bias_ + i * kLanes);
      x.parts[i] = multiply_add(score, scale_, added);
    }
    return x;
  }

  // Moves `highest` up to the sums of two probabilities each.
  __attribute__((always_inline)) void put(int64_t row, const Logits& x, Floats& highest) {
    Floats p[kRegistersOf32];
#pragma GCC unroll 4
    for (int64_t i = 0; i < kRegistersOf32; ++i) p[i] = power_of_two(x.parts[i]);
    add_up(p, state_.sums[state_.current][row], state_.sums[state_.current ^ 1][row], highest);
    store_probabilities(probabilities_ + (tile_ * kRows + row) * kKeysInTile, p);
  }

  template <bool kBiased, bool kFar>
  void quick(int64_t row, int64_t stop) {
    Floats highest = highest_;
    for (; row < stop; ++row) put(row, logits<kBiased, kFar>(row, splat(-state_.m[row])), highest);
    highest_ = highest;
  }

  template <bool kBiased, bool kFar>
  void careful(int64_t row, int64_t stop) {
    Floats unused = zeros();
    for (; row < stop; ++row) {
      const Logits x = logits<kBiased, kFar>(row, zeros());
      Floats highest = x.parts[0];
#pragma GCC unroll 4
      for (int64_t i = 1; i < kRegistersOf32; ++i) highest = larger(highest, x.parts[i]);
      const float top = largest_of(highest);
      const float before = state_.m[row];
      if (before == kHidden ? top != kHidden : top > before + kMostAbove) raise(row, top);
      const float m = state_.m[row];
      put(row, logits<kBiased, kFar>(row, splat(m == kHidden ? 0.0F : -m)), unused);
    }
  }

  // Gives the row a new m.
  void raise(int64_t row, float top) {
    const float before = state_.m[row];
    const float m = __builtin_ceilf(top);
    state_.m[row] = m;
    if (before == kHidden) return;
    const Floats factor = power_of_two(splat(before - m));
    float* const sums = state_.sums[state_.current][row];
    for (int64_t i = 0; i < 16; i += kLanes) store_floats(sums + i, load_floats(sums + i) * factor);
    for (int64_t t = 0; t < tile_; ++t)
      scale_probabilities(probabilities_ + (t * kRows + row) * kKeysInTile, factor);
    state_.rescaling[row] *= factor[0];
    state_.has_rescaling = true;
  }

  using Form = void (TileSoftmax::*)(int64_t, int64_t);

  const AttentionGroup& group_;
  SoftmaxState& state_;
  int64_t first_row_;
  const int32_t* tiles_;
  const float* scores_;
  Number* probabilities_;
  Floats scale_, highest_;
  int64_t next_ = 0, end_ = 0, tile_ = 0;
  Form form_ = nullptr;
  const float* bias_ = nullptr;
  int64_t first_key_ = 0;
  bool far_ = false, careful_ = false;
};

}  // namespace
}  // namespace sora::kernels::cpu
