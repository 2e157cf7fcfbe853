// The CUDA attention kernels on the CPU, block after block.
#pragma once

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_tile.h"
#include "kernels/cuda/hopper/attention.h"
#include "kernels/cuda/hopper/attention_launch.h"
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
void emulate_launch(const AttentionProblem& problem) {
  constexpr int kMultiprocessors = 3;
  const AttentionMaps<TileSource> maps = sources_of<Tile>(problem);
  const int blocks = std::min(kMultiprocessors, num_works<Tile>(problem));
  for (int number = 0; number < blocks; ++number) {
    HopperBlock block(Tile::kThreads, Tile::kSharedBytes, number, blocks);
    block.run([&](HopperThread& thread) { attend<Tile>(problem, maps, thread); });
  }
}

inline at::Tensor emulated_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                     const AttentionTerms& terms) {
  const PreparedAttention prepared = prepare_attention(q, k, v, terms);
  const auto launch = [&]<int kWidth>(std::integral_constant<int, kWidth>) {
    prepared.problem.has_terms() ? emulate_launch<AttentionTile<kWidth, true>>(prepared.problem)
                                 : emulate_launch<AttentionTile<kWidth, false>>(prepared.problem);
  };
  q.size(3) == 64 ? launch(std::integral_constant<int, 64>())
                  : launch(std::integral_constant<int, 128>());
  return prepared.out_BLHK;
}

}  // namespace hopper
}  // namespace sora::kernels::cuda
