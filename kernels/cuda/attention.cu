// Launches attention: TileAttention (attention_tile.h) as kernels for three widths of heads, or the
// kernels for Hopper.
#include <cuda_runtime.h>

#include "kernels/cuda/attention_problem.h"
#include "kernels/cuda/attention_tile.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/hopper/attention_launch.h"
#include "kernels/cuda/tensor_core.cuh"

namespace sora::kernels::cuda {
namespace {

template <class Tile, bool kTerms>
__global__ void __launch_bounds__(Tile::kThreads)
    attention_kernel(const __grid_constant__ AttentionProblem problem) {
  extern __shared__ __align__(128) char shared[];
  TensorCore machine(shared);
  TileAttention<Tile, kTerms, TensorCore>(problem, machine, static_cast<int>(blockIdx.x),
                                          static_cast<int>(blockIdx.y),
                                          static_cast<int>(blockIdx.z))
      .run();
}

template <class Tile, bool kTerms>
void launch(const AttentionProblem& problem, cudaStream_t stream) {
  const auto kernel = attention_kernel<Tile, kTerms>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             Tile::kSharedBytes));
  const dim3 grid(static_cast<unsigned>((problem.queries + Tile::kQueries - 1) / Tile::kQueries),
                  static_cast<unsigned>(problem.heads), static_cast<unsigned>(problem.batch));
  kernel<<<grid, Tile::kThreads, Tile::kSharedBytes, stream>>>(problem);
  check(cudaGetLastError());
}

template <class Tile>
void launch_with(const AttentionProblem& problem, cudaStream_t stream) {
  problem.has_terms() ? launch<Tile, true>(problem, stream) : launch<Tile, false>(problem, stream);
}

}  // namespace

bool built_with_cuda() { return true; }

bool attention_runs_here() { return has_code_of(attention_kernel<AttentionTile<64>, false>); }

Instructions best_instructions(const AttentionProblem& problem) {
  return hopper::takes(problem) && hopper::runs_here() ? Instructions::Hopper
                                                       : Instructions::Ampere;
}

void launch_attention(const AttentionProblem& problem, Instructions instructions, void* stream) {
  if (instructions == Instructions::Hopper) return hopper::launch_attention(problem, stream);
  const auto on = static_cast<cudaStream_t>(stream);
  if (problem.head_width <= 64) return launch_with<AttentionTile<64>>(problem, on);
  if (problem.head_width <= 128) return launch_with<AttentionTile<128>>(problem, on);
  launch_with<AttentionTile<256>>(problem, on);
}

}  // namespace sora::kernels::cuda
