// Launches attention in 8 bits: what quantises, then attention.h's kernel with a block for each
// multiprocessor.
#include <cuda_runtime.h>

#include "kernels/cuda/check.h"
#include "kernels/cuda/hopper/attention_int8_launch.h"
#include "kernels/cuda/hopper/attention_launch.h"
#include "kernels/cuda/hopper/persistent_launch.cuh"
#include "kernels/cuda/hopper/quantise_launch.h"

namespace sora::kernels::cuda {

bool int8_attention_runs_here() { return hopper::runs_here(); }

void launch_attention_int8(const Int8AttentionProblem& problem, void* stream) {
  hopper::launch_quantisation(problem, stream);
  hopper::launch_attending<hopper::Int8Numbers>(problem, static_cast<cudaStream_t>(stream));
}

}  // namespace sora::kernels::cuda
