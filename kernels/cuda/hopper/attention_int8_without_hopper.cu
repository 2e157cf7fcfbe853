// Stands in for attention_int8.cu in a build for other GPUs.
#include <stdexcept>

#include "kernels/cuda/attention_int8_problem.h"

namespace sora::kernels::cuda {

bool int8_attention_runs_here() { return false; }

void launch_attention_int8(const Int8AttentionProblem&, void*) {
  throw std::runtime_error("this build holds no kernels for compute capability 9.0");
}

}  // namespace sora::kernels::cuda
