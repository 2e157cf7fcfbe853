// Launches attention.h's kernel, with a block for each multiprocessor.
#include "kernels/cuda/hopper/attention.h"

#include <algorithm>

#include "kernels/cuda/check.h"
#include "kernels/cuda/hopper/attention_launch.h"
#include "kernels/cuda/hopper/core.cuh"
#include "kernels/cuda/hopper/tensor_map.h"

namespace sora::kernels::cuda::hopper {
namespace {

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    attention_kernel(const __grid_constant__ AttentionProblem problem,
                     const __grid_constant__ AttentionMaps<CUtensorMap> maps) {
  extern __shared__ __align__(1024) char shared[];
  HopperCore machine(shared);
  attend<Tile>(problem, maps, machine);
}

int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

template <class Tile>
void launch(const AttentionProblem& problem, cudaStream_t stream) {
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

template <int kWidth>
void launch_with(const AttentionProblem& problem, cudaStream_t stream) {
  problem.has_terms() ? launch<AttentionTile<kWidth, true>>(problem, stream)
                      : launch<AttentionTile<kWidth, false>>(problem, stream);
}

}  // namespace

bool runs_here() {
  return attribute(cudaDevAttrComputeCapabilityMajor) == 9 &&
         attribute(cudaDevAttrComputeCapabilityMinor) == 0;
}

void launch_attention(const AttentionProblem& problem, void* stream) {
  const auto on = static_cast<cudaStream_t>(stream);
  problem.head_width == 64 ? launch_with<64>(problem, on) : launch_with<128>(problem, on);
}

}  // namespace sora::kernels::cuda::hopper
