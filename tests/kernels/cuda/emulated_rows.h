// The CUDA kernel for rows on the CPU, row after row by one block of threads.
#pragma once

#include "kernels/cuda/row_ops_kernel.h"
#include "tests/kernels/cuda/emulated_block.h"

namespace sora::kernels::cuda {

inline void emulate_rows(const RowProblem& problem) {
  EmulatedBlock block(RowKernel<EmulatedThread>::kThreads, 0);
  block.run([&](EmulatedThread& thread) {
    for (int32_t n = 0; n < problem.rows; ++n) RowKernel<EmulatedThread>(problem, thread, n).run();
  });
}

}  // namespace sora::kernels::cuda
