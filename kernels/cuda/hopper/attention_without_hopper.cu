// Stands in for attention.cu in a build for other GPUs.
#include <stdexcept>

#include "kernels/cuda/hopper/attention_launch.h"

namespace sora::kernels::cuda::hopper {

bool runs_here() { return false; }

void launch_attention(const AttentionProblem&, void*) {
  throw std::runtime_error("this build holds no kernels for compute capability 9.0");
}

}  // namespace sora::kernels::cuda::hopper
