// Launches attention.h's kernel in bf16.
#include "kernels/cuda/hopper/attention_launch.h"
#include "kernels/cuda/hopper/persistent_launch.cuh"

namespace sora::kernels::cuda::hopper {

bool runs_here() {
  return attribute(cudaDevAttrComputeCapabilityMajor) == 9 &&
         attribute(cudaDevAttrComputeCapabilityMinor) == 0;
}

void launch_attention(const AttentionProblem& problem, void* stream) {
  launch_attending<Bf16Numbers>(problem, static_cast<cudaStream_t>(stream));
}

}  // namespace sora::kernels::cuda::hopper
