// The arithmetic of attention on Hopper in 8 bits. AttentionConsumer says when what is called.
//
// Note [8 bits on Hopper]
// As in SageAttention2 (arXiv 2411.10958): logits are exact sums of int8 products, with a unit for
// each query and one for each quarter of a block's keys, the quarter that a thread holds.
// Probabilities, 2^8 times larger so that small ones stay, are rounded to e4m3; so are values less
// their mean over keys, with a unit for each channel. The tensor cores add e4m3 products with some
// 13 bits below the largest, so a block's sums begin at zero and are added in f32 to what has been
// gathered, by the multiply-add that follows the maximum anyway.
//
// Sums of logits begin at the bits of kWholeNumbers instead of zero: what comes out are floats, a
// whole number above that constant, and no conversion is left to do. The constant goes with the
// maximum into the exponent's multiply-add.
//
// A wgmma of 8 bits takes its right operand by rows of what is summed over, so values are
// transposed. Its left operand has in a thread's registers four neighbours of each sixteen keys,
// where the logits' layout has two of each eight: values lie in the order that makes these the
// same. Of sixteen, the place 4 q + 2 e + b holds key 8 e + 2 q + b (q below 4, e and b below 2).
#pragma once

#include "kernels/cuda/hopper/attention_rows.h"
#include "kernels/cuda/hopper/whole_numbers.h"

namespace sora::kernels::cuda::hopper {

template <class Tile>
struct Int8Softmax {
  static constexpr float kZero = Tile::kTerms ? 0.0F : kWholeNumbers;
  static constexpr float kLift = 8.0F;  // of e4m3's range, up to 448
};

template <class Tile, class Machine>
class Int8Arithmetic : AttentionRows<Tile, Machine> {
  using Base = AttentionRows<Tile, Machine>;
  using Base::kKeyPieces, Base::kWidthPieces, Base::machine_, Base::out_, Base::work_;

 public:
  SORA_DEVICE Int8Arithmetic(const Int8AttentionProblem& problem, Machine& machine, int group)
      : Base(problem, machine, group), quantised_(problem) {}
  using Base::order_after_exponentials;

  SORA_DEVICE void begin(const AttentionWork& work) {
    Base::begin(work);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int query = Base::query_of(half);
      query_unit_[half] =
          quantised_.query_units_of(
              work.batch, work.head)[query < quantised_.queries ? query : quantised_.queries - 1] *
          (Tile::kTerms ? 1.0F : kLog2E);
      shrink_before_[half] = 0.0F;
    }
  }

  SORA_DEVICE void begin_block(int block) {
    key_unit_ = quantised_.key_units_of(
        work_.batch, work_.head)[block * kInt8KeyGroups + machine_.lane() % kInt8KeyGroups];
#pragma unroll
    for (int piece = 0; piece < kKeyPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i) products_[piece][i] = kWholeNumbersBits;
    }
  }

  SORA_DEVICE void fence_logits() { machine_.fence(products_); }
  SORA_DEVICE void fence_all() { machine_.fence(products_, probabilities_, partial_); }
  SORA_DEVICE void fence_values() { machine_.fence(probabilities_, partial_); }
  template <int kNewest>
  SORA_DEVICE void wait_for_logits() {
    machine_.template wait_for_products<kNewest>(products_);
  }
  SORA_DEVICE void wait_for_values() {
    machine_.template wait_for_products<0>(probabilities_, partial_);
  }

  // products += Q K^T, [64, kKeys].
  SORA_DEVICE void multiply_with_keys(int stage) {
    Base::for_each_key_step(stage, [this](uint32_t, uint64_t left, uint64_t right) {
      machine_.multiply_add_int8(products_, left, right);
    });
  }

  // partial = P V of one block.
  SORA_DEVICE void add_values(int stage) {
    const uint64_t values = rows_descriptor(machine_.address(Tile::values_at(stage)));
#pragma unroll
    for (uint32_t step = 0; step < Tile::kKeys / 32; ++step) {
      const uint64_t right = advanced(values, step * 32);
      step == 0 ? machine_.template multiply_e4m3<false>(partial_, probabilities_[step], right)
                : machine_.template multiply_e4m3<true>(partial_, probabilities_[step], right);
    }
  }

  SORA_DEVICE void soften(int block) {
#pragma unroll
    for (int piece = 0; piece < kKeyPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i)
        logits_[piece][i] = __builtin_bit_cast(float, products_[piece][i]);
    }
    const float unit[2] = {query_unit_[0] * key_unit_, query_unit_[1] * key_unit_};
    if (Base::wants_finishing(block)) {
      Base::finish_logits(block, logits_,
                          [&unit](float x, int half) { return (x - kWholeNumbers) * unit[half]; });
    }
    const float finished[2] = {1.0F, 1.0F};
    soften_rows<Int8Softmax<Tile>>(machine_, logits_, Tile::kTerms ? finished : unit,
                                   Base::largest_, Base::sum_, Base::shrink_);
  }

  // The sums of the block before, which its own maximum is that of.
  SORA_DEVICE void gather() {
    gather_last();
#pragma unroll
    for (int half = 0; half < 2; ++half) shrink_before_[half] = Base::shrink_[half];
  }
  SORA_DEVICE void gather_last() {
#pragma unroll
    for (int piece = 0; piece < kWidthPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i)
        out_[piece][i] = out_[piece][i] * shrink_before_[i / 2] + partial_[piece][i];
    }
  }

  SORA_DEVICE void pack() {
#pragma unroll
    for (int step = 0; step < Tile::kKeys / 32; ++step) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const auto& left = logits_[step * 4 + i / 2 * 2];
        const auto& right = logits_[step * 4 + i / 2 * 2 + 1];
        const int row = i % 2 * 2;
        probabilities_[step][i] =
            machine_.pack_e4m3(left[row], left[row + 1], right[row], right[row + 1]);
      }
    }
  }

  SORA_DEVICE void store() {
    const float* unit = quantised_.value_units_of(work_.batch, work_.head);
    const float* mean = quantised_.value_means_of(work_.batch, work_.head);
    Base::store_rows([=](float x, int column) { return x * unit[column] + mean[column]; });
  }

 private:
  const Int8AttentionProblem& quantised_;
  float query_unit_[2] = {}, key_unit_ = 0.0F, shrink_before_[2] = {};
  uint32_t products_[kKeyPieces][4] = {};
  float logits_[kKeyPieces][4] = {};
  uint32_t probabilities_[Tile::kKeys / 32][4] = {};
  float partial_[kWidthPieces][4] = {};
};

}  // namespace sora::kernels::cuda::hopper
