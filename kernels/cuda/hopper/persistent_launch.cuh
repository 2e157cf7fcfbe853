// Launches attention.h's kernel for any type of numbers, with a block for each multiprocessor.
#pragma once

#include <algorithm>

#include "kernels/cuda/check.h"
#include "kernels/cuda/hopper/attention.h"
#include "kernels/cuda/hopper/core.cuh"
#include "kernels/cuda/hopper/tensor_map.h"

namespace sora::kernels::cuda::hopper {

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    attention_kernel(const __grid_constant__ typename Tile::Problem problem,
                     const __grid_constant__ AttentionMaps<CUtensorMap> maps) {
  extern __shared__ __align__(1024) char shared[];
  HopperCore machine(shared);
  attend<Tile>(problem, maps, machine);
}

inline int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

template <class Tile>
void launch(const typename Tile::Problem& problem, cudaStream_t stream) {
  const auto kernel = attention_kernel<Tile>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             Tile::kSharedBytes));
  const AttentionMaps<TileSource> sources = sources_of<Tile>(problem);
  const AttentionMaps<CUtensorMap> maps = {tensor_map(sources.q), tensor_map(sources.k),
                                           tensor_map(sources.v)};
  const int works =
      (problem.queries + Tile::kQueries - 1) / Tile::kQueries * problem.heads * problem.batch;
  const int blocks = std::min(works, attribute(cudaDevAttrMultiProcessorCount));
  kernel<<<blocks, Tile::kThreads, Tile::kSharedBytes, stream>>>(problem, maps);
  check(cudaGetLastError());
}

template <int kWidth, template <bool> class Numbers, class Problem>
void launch_with(const Problem& problem, cudaStream_t stream) {
  problem.has_terms() ? launch<AttentionTile<kWidth, true, Numbers>>(problem, stream)
                      : launch<AttentionTile<kWidth, false, Numbers>>(problem, stream);
}

// The problem is one that the kernels take: of heads of 64 or 128 numbers.
template <template <bool> class Numbers, class Problem>
void launch_attending(const Problem& problem, cudaStream_t stream) {
  problem.head_width == 64 ? launch_with<64, Numbers>(problem, stream)
                           : launch_with<128, Numbers>(problem, stream);
}

}  // namespace sora::kernels::cuda::hopper
