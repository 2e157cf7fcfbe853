// The CUDA attention kernels on the CPU, block after block.
#pragma once

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_int8.h"
#include "kernels/cuda/attention_tile.h"
#include "kernels/cuda/hopper/attention.h"
#include "kernels/cuda/hopper/attention_int8_launch.h"
#include "kernels/cuda/hopper/attention_launch.h"
#include "kernels/cuda/hopper/quantise.h"
#include "tests/kernels/cuda/emulated_block.h"
#include "tests/kernels/cuda/emulated_hopper.h"

namespace sora::kernels::cuda {

template <class Tile, bool kTerms>
void emulate_launch(const AttentionProblem& problem) {
  EmulatedBlock block(Tile::kThreads, Tile::kSharedBytes);
  const int tiles = (problem.queries + Tile::kQueries - 1) / Tile::kQueries;
  for (int batch = 0; batch < problem.batch; ++batch) {
    for (int head = 0; head < problem.heads; ++head) {
      for (int tile = 0; tile < tiles; ++tile) {
        block.run([&](EmulatedThread& thread) {
          TileAttention<Tile, kTerms, EmulatedThread>(problem, thread, tile, head, batch).run();
        });
      }
    }
  }
}

inline at::Tensor emulated_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                     const AttentionTerms& terms) {
  const PreparedAttention prepared = prepare_attention(q, k, v, terms);
  const auto launch = [&]<class Tile>(Tile) {
    prepared.problem.has_terms() ? emulate_launch<Tile, true>(prepared.problem)
                                 : emulate_launch<Tile, false>(prepared.problem);
  };
  if (q.size(3) <= 64) {
    launch(AttentionTile<64>());
  } else if (q.size(3) <= 128) {
    launch(AttentionTile<128>());
  } else {
    launch(AttentionTile<256>());
  }
  return prepared.out_BLHK;
}

namespace hopper {

// On a GPU of few multiprocessors, so that each block has several tiles to do.
template <class Tile>
void emulate_launch(const typename Tile::Problem& problem) {
  constexpr int kMultiprocessors = 3;
  const AttentionMaps<TileSource> maps = sources_of<Tile>(problem);
  const int blocks = std::min(kMultiprocessors, num_works<Tile>(problem));
  for (int number = 0; number < blocks; ++number) {
    HopperBlock block(Tile::kThreads, Tile::kSharedBytes, number, blocks);
    block.run([&](HopperThread& thread) { attend<Tile>(problem, maps, thread); });
  }
}

template <int kWidth, template <bool> class Numbers, class Problem>
void emulate_attending(const Problem& problem) {
  problem.has_terms() ? emulate_launch<AttentionTile<kWidth, true, Numbers>>(problem)
                      : emulate_launch<AttentionTile<kWidth, false, Numbers>>(problem);
}

inline at::Tensor emulated_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                     const AttentionTerms& terms) {
  const PreparedAttention prepared = prepare_attention(q, k, v, terms);
  q.size(3) == 64 ? emulate_attending<64, Bf16Numbers>(prepared.problem)
                  : emulate_attending<128, Bf16Numbers>(prepared.problem);
  return prepared.out_BLHK;
}

// A thread of a block that quantises.
class QuantisingThread : public HopperThread {
 public:
  QuantisingThread(HopperBlock& block, int thread)
      : HopperThread(block, thread), words_(reinterpret_cast<uint32_t*>(block.shared.data())) {}
  uint32_t* shared_words() const { return words_; }

 private:
  uint32_t* words_;
};

// The kernels of quantise.cu, one after the other.
template <int kWidth>
void emulate_quantisation(const Int8AttentionProblem& p) {
  using Work = Quantiser<kWidth, QuantisingThread>;
  const auto each_head = [&](int threads, int blocks, int batches, const auto& run) {
    HopperBlock block(threads, std::max(Work::kStatisticsBytes, Work::kValueBytes), 0, 1);
    for (int batch = 0; batch < batches; ++batch)
      for (int head = 0; head < p.heads; ++head)
        for (int i = 0; i < blocks; ++i)
          block.run([&](HopperThread& thread) {
            QuantisingThread machine(block, thread.thread());
            Work work(p, machine, head, batch);
            run(work, i);
          });
  };
  const int keys = p.batches_of(p.k), values = p.batches_of(p.v);
  const auto key_blocks = static_cast<int>(p.padded_keys / kInt8Keys);
  for (const bool of_values : {false, true}) {
    const int batches = of_values ? values : keys;
    each_head(Work::kStatisticsThreads, kStatisticsParts, batches,
              [=](Work& work, int part) { work.gather_statistics(of_values, part); });
    each_head(kWidth, 1, batches, [=](Work& work, int) { work.finish_statistics(of_values); });
  }
  each_head(Work::kRowThreads, (p.queries + kInt8Keys - 1) / kInt8Keys, p.batch,
            [](Work& work, int block) { work.quantise_queries(block); });
  each_head(Work::kRowThreads, key_blocks, keys,
            [](Work& work, int block) { work.quantise_keys(block); });
  each_head(Work::kValueThreads, key_blocks, values,
            [](Work& work, int block) { work.quantise_values(block); });
}

inline at::Tensor emulated_attention_int8(const at::Tensor& q, const at::Tensor& k,
                                          const at::Tensor& v, const AttentionTerms& terms) {
  const PreparedInt8Attention prepared = prepare_attention_int8(q, k, v, terms);
  if (q.size(3) == 64) {
    emulate_quantisation<64>(prepared.problem);
    emulate_attending<64, Int8Numbers>(prepared.problem);
  } else {
    emulate_quantisation<128>(prepared.problem);
    emulate_attending<128, Int8Numbers>(prepared.problem);
  }
  return prepared.exact.out_BLHK;
}

}  // namespace hopper
}  // namespace sora::kernels::cuda
