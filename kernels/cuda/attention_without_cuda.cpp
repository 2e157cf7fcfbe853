// Stands in for attention.cu in a build without CUDA.
#include <stdexcept>

#include "kernels/cuda/attention_problem.h"

namespace sora::kernels::cuda {

bool built_with_cuda() { return false; }

bool attention_runs_here() { return false; }

Instructions best_instructions(const AttentionProblem&) { return Instructions::Ampere; }

void launch_attention(const AttentionProblem&, Instructions, void*) {
  throw std::runtime_error("this build holds no CUDA kernels; build it with -DSORA_CUDA=ON");
}

}  // namespace sora::kernels::cuda
