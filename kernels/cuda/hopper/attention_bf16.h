// The arithmetic of attention on Hopper in bf16. AttentionConsumer says when what is called.
#pragma once

#include "kernels/cuda/hopper/attention_rows.h"

namespace sora::kernels::cuda::hopper {

template <class Tile, class Machine>
class Bf16Arithmetic : AttentionRows<Tile, Machine> {
  using Base = AttentionRows<Tile, Machine>;
  using Base::kKeyPieces, Base::kWidthPieces, Base::p_, Base::machine_, Base::out_;

 public:
  SORA_DEVICE Bf16Arithmetic(const AttentionProblem& problem, Machine& machine, int group)
      : Base(problem, machine, group) {}
  using Base::begin, Base::order_after_exponentials;

  SORA_DEVICE void begin_block(int) {}

  SORA_DEVICE void fence_logits() { machine_.fence(logits_); }
  SORA_DEVICE void fence_all() { machine_.fence(logits_, probabilities_, out_); }
  SORA_DEVICE void fence_values() { machine_.fence(probabilities_, out_); }
  template <int kNewest>
  SORA_DEVICE void wait_for_logits() {
    machine_.template wait_for_products<kNewest>(logits_);
  }
  SORA_DEVICE void wait_for_values() {
    machine_.template wait_for_products<0>(probabilities_, out_);
  }

  // logits = Q K^T, [64, kKeys].
  SORA_DEVICE void multiply_with_keys(int stage) {
    Base::for_each_key_step(stage, [this](uint32_t step, uint64_t left, uint64_t right) {
      step == 0 ? machine_.template multiply<false>(logits_, left, right)
                : machine_.template multiply<true>(logits_, left, right);
    });
  }

  // out += P V.
  SORA_DEVICE void add_values(int stage) {
    const uint64_t values =
        columns_descriptor(machine_.address(Tile::values_at(stage)), Tile::kKeySliceBytes);
#pragma unroll
    for (uint32_t step = 0; step < Tile::kKeys / 16; ++step)
      machine_.multiply_add(out_, probabilities_[step], advanced(values, step * 16 * kBoxRowBytes));
  }

  // With terms logits are finished first; without, scaling is part of the exponent.
  SORA_DEVICE void soften(int block) {
    if (Base::wants_finishing(block))
      Base::finish_logits(block, logits_, [this](float x, int) { return x * p_.scale; });
    const float scale = Tile::kTerms ? 1.0F : p_.scale * kLog2E;
    const float unit[2] = {scale, scale};
    soften_rows<PlainSoftmax>(machine_, logits_, unit, Base::largest_, Base::sum_, Base::shrink_);
  }

  // What has been gathered follows the new maximum, before more is added to it.
  SORA_DEVICE void gather() {
#pragma unroll
    for (int piece = 0; piece < kWidthPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out_[piece][i] *= Base::shrink_[i / 2];
    }
  }
  SORA_DEVICE void gather_last() {}

  // The result's layout of eight columns, twice, is the left operand's of sixteen.
  SORA_DEVICE void pack() {
#pragma unroll
    for (int step = 0; step < Tile::kKeys / 16; ++step) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const auto& piece = logits_[step * 2 + i / 2];
        probabilities_[step][i] = machine_.pack(piece[i % 2 * 2], piece[i % 2 * 2 + 1]);
      }
    }
  }

  SORA_DEVICE void store() {
    Base::store_rows([](float x, int) { return x; });
  }

 private:
  float logits_[kKeyPieces][4] = {};
  uint32_t probabilities_[Tile::kKeys / 16][4] = {};
};

}  // namespace sora::kernels::cuda::hopper
