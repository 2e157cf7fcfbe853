// Attention with the instructions of sm_90a, for heads of 64 or 128 numbers, in bf16 or in 8 bits.
//
// Note [Attention on Hopper]
// A block of threads stays on its multiprocessor and takes one tile of queries after another. Of
// its three warpgroups the first gives its registers away and keeps one thread at work, which has
// TMA copy boxes of keys and values into a ring of buffers. The other two compute: wgmma reads keys
// and values from shared memory where TMA put them and probabilities from registers, and runs
// beside the threads that started it. So each group computes the exponentials of one block of keys
// while the tensor cores multiply the probabilities of the block before, and the two groups take
// turns, so that the tensor cores have work from one while the other has none to give
// (FlashAttention-3, arXiv 2407.08608). Softmax has a running maximum and sum.
//
// What is waited for: a consumer for a buffer that is full, by TMA's count of bytes; the producer
// for one that all warps of both consumers have let go, which they do when the products that read
// it have ended; a consumer for its turn.
//
// The machine is HopperCore (core.cuh) on a GPU and the tests' HopperThread on the CPU.
#pragma once

#include "kernels/cuda/hopper/attention_consumer.h"
#include "kernels/cuda/hopper/attention_producer.h"

namespace sora::kernels::cuda::hopper {

template <class Tile, class Machine>
SORA_DEVICE void make_barriers(Machine& machine) {
  constexpr int kProducers = 1, kWarps = Tile::kConsumers * kWarpgroupThreads / 32;
  machine.make_barrier(Tile::queries_full(), kProducers);
  machine.make_barrier(Tile::queries_free(), kWarps);
  for (int stage = 0; stage < Tile::kStages; ++stage) {
    machine.make_barrier(Tile::keys_full(stage), kProducers);
    machine.make_barrier(Tile::keys_free(stage), kWarps);
    machine.make_barrier(Tile::values_full(stage), kProducers);
    machine.make_barrier(Tile::values_free(stage), kWarps);
  }
  machine.publish_barriers();
}

// What every thread of a block runs.
template <class Tile, class Machine>
SORA_DEVICE void attend(const typename Tile::Problem& problem,
                        const AttentionMaps<typename Machine::TensorMap>& maps, Machine& machine) {
  if (machine.thread() == 0) make_barriers<Tile>(machine);
  machine.barrier();
  const int warpgroup = machine.warpgroup();
  if (warpgroup == 0) {
    machine.template give_registers<Tile::kProducerRegisters>();
    if (machine.thread() == 0) AttentionProducer<Tile, Machine>(problem, maps, machine).run();
  } else {
    machine.template take_registers<Tile::kConsumerRegisters>();
    AttentionConsumer<Tile, Machine>(problem, machine, warpgroup - 1).run();
  }
}

}  // namespace sora::kernels::cuda::hopper
