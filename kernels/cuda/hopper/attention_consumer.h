// A warpgroup that computes attention on Hopper for 64 queries at a time.
#pragma once

#include "kernels/cuda/hopper/attention_tile.h"
#include "kernels/cuda/hopper/matrix_descriptor.h"
#include "kernels/cuda/hopper/ring.h"

namespace sora::kernels::cuda::hopper {

template <class Tile, class Machine>
class AttentionConsumer {
 public:
  SORA_DEVICE AttentionConsumer(const AttentionProblem& problem, Machine& machine)
      : p_(problem), machine_(machine), group_(machine.warpgroup() - 1) {}

  SORA_DEVICE void run() {
    if (group_ == 1) pass_turn();  // the first turn is the other's
    const int count = num_works<Tile>(p_);
    for (int i = machine_.block(); i < count; i += machine_.blocks()) {
      work_ = work_at<Tile>(p_, i);
      clear();
      if (work_.blocks > 0) attend();
      store();
    }
    if (group_ == 0) take_turn();  // the last one passed is taken by nobody else
  }

 private:
  static constexpr int kKeyPieces = Tile::kKeys / 8;
  static constexpr int kWidthPieces = Tile::kWidth / 8;
  static constexpr int kBothConsumers = Tile::kConsumers * kWarpgroupThreads;
  static constexpr int kTurnBarrier = 1;  // and 2; barrier 0 is the whole block's

  // Only the group whose turn it is hands products to the tensor cores; the other one computes
  // exponentials meanwhile.
  SORA_DEVICE void take_turn() { machine_.sync(kTurnBarrier + group_, kBothConsumers); }
  SORA_DEVICE void pass_turn() { machine_.arrive_at(kTurnBarrier + 1 - group_, kBothConsumers); }

  SORA_DEVICE void clear() {
#pragma unroll
    for (int piece = 0; piece < kWidthPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out_[piece][i] = 0.0F;
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      largest_[half] = kNothing;
      sum_[half] = 0.0F;
    }
  }

  SORA_DEVICE void attend() {
    machine_.wait_for_phase(Tile::queries_full(), queries_.parity);
    begin_first_block();
    for (int block = 1; block < work_.blocks; ++block) begin_block(block);
    release(Tile::queries_free());
    queries_.next();
    end_last_block();
  }

  SORA_DEVICE void begin_first_block() {
    machine_.wait_for_phase(Tile::keys_full(keys_.stage), keys_.parity);
    take_turn();
    machine_.fence(logits_);
    multiply_with_keys();
    machine_.commit_products();
    pass_turn();
    machine_.template wait_for_products<0>(logits_);
    release(Tile::keys_free(keys_.stage));
    keys_.next();
    soften(0);
    pack();
  }

  // Exponentials of this block are computed while the tensor cores work on the values of the one
  // before.
  SORA_DEVICE void begin_block(int block) {
    machine_.wait_for_phase(Tile::keys_full(keys_.stage), keys_.parity);
    take_turn();
    machine_.fence(logits_, probabilities_, out_);
    multiply_with_keys();
    machine_.commit_products();
    machine_.wait_for_phase(Tile::values_full(values_.stage), values_.parity);
    add_values();
    machine_.commit_products();
    pass_turn();
    machine_.template wait_for_products<1>(logits_);
    release(Tile::keys_free(keys_.stage));
    keys_.next();
    soften(block);
    machine_.template wait_for_products<0>(probabilities_, out_);
    release(Tile::values_free(values_.stage));
    values_.next();
    shrink();
    pack();
  }

  SORA_DEVICE void end_last_block() {
    machine_.wait_for_phase(Tile::values_full(values_.stage), values_.parity);
    machine_.fence(probabilities_, out_);
    add_values();
    machine_.commit_products();
    machine_.template wait_for_products<0>(probabilities_, out_);
    release(Tile::values_free(values_.stage));
    values_.next();
  }

  SORA_DEVICE void release(uint32_t barrier) {
    if (machine_.lane() == 0) machine_.arrive(barrier);
  }

  // logits = Q K^T, [64, kKeys].
  SORA_DEVICE void multiply_with_keys() {
    const uint32_t queries = machine_.address(static_cast<uint32_t>(group_) * 64 * kBoxRowBytes);
    const uint32_t keys = machine_.address(Tile::keys_at(keys_.stage));
#pragma unroll
    for (uint32_t step = 0; step < Tile::kWidth / 16; ++step) {
      const uint32_t slice = step / 4, bytes = step % 4 * 32;
      const uint64_t left = rows_descriptor(queries + slice * Tile::kQuerySliceBytes + bytes);
      const uint64_t right = rows_descriptor(keys + slice * Tile::kKeySliceBytes + bytes);
      step == 0 ? machine_.template multiply<false>(logits_, left, right)
                : machine_.template multiply<true>(logits_, left, right);
    }
  }

  // out += P V.
  SORA_DEVICE void add_values() {
    const uint32_t values = machine_.address(Tile::values_at(values_.stage));
#pragma unroll
    for (uint32_t step = 0; step < Tile::kKeys / 16; ++step) {
      const uint32_t at = values + step * 16 * kBoxRowBytes;
      machine_.multiply_add(out_, probabilities_[step],
                            columns_descriptor(at, Tile::kKeySliceBytes));
    }
  }

  // With terms logits are finished first; without, scaling is part of the exponent.
  SORA_DEVICE void soften(int block) {
    const int first_key = block * Tile::kKeys;
    if (Tile::kTerms || first_key + Tile::kKeys > work_.keys) finish_logits(first_key);
    soften_rows(machine_, logits_, Tile::kTerms ? 1.0F : p_.scale * kLog2E, largest_, sum_,
                shrink_);
  }

  // Hides what is no key; with terms, logits count in powers of two afterwards.
  SORA_DEVICE void finish_logits(int first_key) {
#pragma unroll
    for (int piece = 0; piece < kKeyPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = first_key + piece * 8 + machine_.lane() % 4 * 2 + i % 2;
        float& x = logits_[piece][i];
        if (key >= work_.keys) {
          x = kNothing;
        } else if (Tile::kTerms) {
          x = with_terms(p_, work_.batch, query_of(i / 2), key, x * p_.scale) * kLog2E;
        }
      }
    }
  }
  SORA_DEVICE int query_of(int half) const {
    return work_.first_query + group_ * 64 + machine_.warp() % 4 * 16 + machine_.lane() / 4 +
           half * 8;
  }

  // What has been gathered follows the new maximum.
  SORA_DEVICE void shrink() {
#pragma unroll
    for (int piece = 0; piece < kWidthPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out_[piece][i] *= shrink_[i / 2];
    }
  }

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
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float factor =
          1.0F / machine_.sum_of_quad(sum_[half]);  // no key seen: 0 times infinity, NaN
      const int query = query_of(half);
      if (query >= p_.queries) continue;
      const int64_t row =
          (static_cast<int64_t>(work_.batch) * p_.queries + query) * p_.heads + work_.head;
      uint16_t* out = p_.out + row * Tile::kWidth + machine_.lane() % 4 * 2;
#pragma unroll
      for (int piece = 0; piece < kWidthPieces; ++piece) {
        *reinterpret_cast<uint32_t*>(out + piece * 8) =
            machine_.pack(out_[piece][half * 2] * factor, out_[piece][half * 2 + 1] * factor);
      }
    }
  }

  const AttentionProblem& p_;
  Machine& machine_;
  const int group_;
  AttentionWork work_;
  RingPlace<1> queries_;
  RingPlace<Tile::kStages> keys_, values_;
  float logits_[kKeyPieces][4] = {};
  uint32_t probabilities_[Tile::kKeys / 16][4] = {};
  float out_[kWidthPieces][4] = {};
  float largest_[2] = {}, sum_[2] = {}, shrink_[2] = {};
};

}  // namespace sora::kernels::cuda::hopper
