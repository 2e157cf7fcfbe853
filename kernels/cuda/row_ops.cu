// Launches RowKernel (row_ops_kernel.h), a block for each row.
#include <cuda_runtime.h>

#include "kernels/cuda/block_core.cuh"
#include "kernels/cuda/check.h"
#include "kernels/cuda/row_ops_kernel.h"

namespace sora::kernels::cuda {
namespace {

__global__ void __launch_bounds__(RowKernel<BlockCore>::kThreads)
    row_kernel(const __grid_constant__ RowProblem problem) {
  __shared__ float sums[RowKernel<BlockCore>::kThreads / 32];
  BlockCore machine(sums);
  RowKernel<BlockCore>(problem, machine, static_cast<int32_t>(blockIdx.x)).run();
}

}  // namespace

bool rows_run_here() { return has_code_of(row_kernel); }

void launch_rows(const RowProblem& problem, void* stream) {
  row_kernel<<<static_cast<unsigned>(problem.rows), RowKernel<BlockCore>::kThreads, 0,
               static_cast<cudaStream_t>(stream)>>>(problem);
  check(cudaGetLastError());
}

}  // namespace sora::kernels::cuda
