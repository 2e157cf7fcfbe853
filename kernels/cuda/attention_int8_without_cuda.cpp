// Stands in for hopper/attention_int8.cu in a build without CUDA.
#include <stdexcept>

#include "kernels/cuda/attention_int8_problem.h"

namespace sora::kernels::cuda {

bool int8_attention_runs_here() { return false; }

void launch_attention_int8(const Int8AttentionProblem&, void*) {
  throw std::runtime_error("this build holds no CUDA kernels; build it with -DSORA_CUDA=ON");
}

}  // namespace sora::kernels::cuda
