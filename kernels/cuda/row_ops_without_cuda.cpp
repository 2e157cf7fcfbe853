// Stands in for row_ops.cu in a build without CUDA.
#include <stdexcept>

#include "kernels/cuda/row_problem.h"

namespace sora::kernels::cuda {

bool rows_run_here() { return false; }

void launch_rows(const RowProblem&, void*) {
  throw std::runtime_error("this build holds no CUDA kernels; build it with -DSORA_CUDA=ON");
}

}  // namespace sora::kernels::cuda
