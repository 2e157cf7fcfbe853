// What quantises a call of attention, quantise.h, as launch_attention_int8 sees it.
#pragma once

#include "kernels/cuda/attention_int8_problem.h"

namespace sora::kernels::cuda::hopper {

// Runs the kernels on a cudaStream_t.
void launch_quantisation(const Int8AttentionProblem& problem, void* stream);

}  // namespace sora::kernels::cuda::hopper
