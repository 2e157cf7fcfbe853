// A warpgroup that computes attention on Hopper for 64 queries at a time: what waits for what. Its
// arithmetic depends on the type of numbers.
#pragma once

#include "kernels/cuda/hopper/attention_bf16.h"
#include "kernels/cuda/hopper/attention_int8.h"
#include "kernels/cuda/hopper/ring.h"

#include <type_traits>

namespace sora::kernels::cuda::hopper {

template <class Tile, class Machine>
class AttentionConsumer {
 public:
  SORA_DEVICE AttentionConsumer(const typename Tile::Problem& problem, Machine& machine, int group)
      : p_(problem), machine_(machine), group_(group), rows_(problem, machine, group) {}

  SORA_DEVICE void run() {
    if (group_ == 1) pass_turn();  // the first turn is the other's
    const int count = num_works<Tile>(p_);
    for (int i = machine_.block(); i < count; i += machine_.blocks()) {
      const AttentionWork work = work_at<Tile>(p_, i);
      rows_.begin(work);
      if (work.blocks > 0) attend(work.blocks);
      rows_.store();
    }
    if (group_ == 0) take_turn();  // the last one passed is taken by nobody else
  }

 private:
  using Arithmetic = std::conditional_t<Tile::Numbers::kBytes == 1, Int8Arithmetic<Tile, Machine>,
                                        Bf16Arithmetic<Tile, Machine>>;
  static constexpr int kBothConsumers = Tile::kConsumers * kWarpgroupThreads;
  static constexpr int kTurnBarrier = 1;  // and 2; barrier 0 is the whole block's

  // Only the group whose turn it is hands products to the tensor cores; the other one computes
  // exponentials meanwhile.
  SORA_DEVICE void take_turn() { machine_.sync(kTurnBarrier + group_, kBothConsumers); }
  SORA_DEVICE void pass_turn() { machine_.arrive_at(kTurnBarrier + 1 - group_, kBothConsumers); }

  SORA_DEVICE void attend(int blocks) {
    machine_.wait_for_phase(Tile::queries_full(), queries_.parity());
    do_first_block();
    for (int block = 1; block < blocks; ++block) do_block(block);
    release(Tile::queries_free());
    queries_.next();
    end_last_block();
  }

  SORA_DEVICE void do_first_block() {
    rows_.begin_block(0);
    machine_.wait_for_phase(Tile::keys_full(keys_.stage()), keys_.parity());
    take_turn();
    rows_.fence_logits();
    rows_.multiply_with_keys(keys_.stage());
    machine_.commit_products();
    pass_turn();
    rows_.template wait_for_logits<0>();
    release(Tile::keys_free(keys_.stage()));
    keys_.next();
    rows_.soften(0);
    rows_.pack();
  }

  // Exponentials of this block are computed while the tensor cores work on the values of the one
  // before.
  SORA_DEVICE void do_block(int block) {
    rows_.begin_block(block);
    machine_.wait_for_phase(Tile::keys_full(keys_.stage()), keys_.parity());
    take_turn();
    rows_.fence_all();
    rows_.multiply_with_keys(keys_.stage());
    machine_.commit_products();
    machine_.wait_for_phase(Tile::values_full(values_.stage()), values_.parity());
    machine_.fence();  // again: a fence does not reach past the loop that waits
    rows_.add_values(values_.stage());
    machine_.commit_products();
    pass_turn();
    rows_.template wait_for_logits<1>();
    release(Tile::keys_free(keys_.stage()));
    keys_.next();
    rows_.soften(block);
    rows_.order_after_exponentials();
    rows_.wait_for_values();
    release(Tile::values_free(values_.stage()));
    values_.next();
    rows_.gather();
    rows_.pack();
  }

  SORA_DEVICE void end_last_block() {
    machine_.wait_for_phase(Tile::values_full(values_.stage()), values_.parity());
    rows_.fence_values();
    rows_.add_values(values_.stage());
    machine_.commit_products();
    rows_.wait_for_values();
    release(Tile::values_free(values_.stage()));
    values_.next();
    rows_.gather_last();
  }

  SORA_DEVICE void release(uint32_t barrier) {
    if (machine_.lane() == 0) machine_.arrive(barrier);
  }

  const AttentionProblem& p_;
  Machine& machine_;
  const int group_;
  Arithmetic rows_;
  RingPlace<1> queries_;
  RingPlace<Tile::kStages> keys_, values_;
};

}  // namespace sora::kernels::cuda::hopper
