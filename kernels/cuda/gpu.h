// Whether there is a GPU to use, found out on the first call.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace sora::kernels::cuda {

// Loads libtorch's CUDA half where it is installed; false without it and without a GPU that it can
// use. It comes before anything else that asks libtorch about CUDA: what libtorch has answered once
// it does not look up again.
bool gpu_is_available();

int num_gpus();

// What is missing, as a part of a sentence; only where gpu_is_available() is false.
std::string why_no_gpu();

// Whether this build holds this project's own kernels (-DSORA_CUDA=ON).
bool has_own_kernels();

// Whether it holds code of them that this GPU can run, asked once for each GPU.
bool has_own_kernels_for(at::Device gpu);

}  // namespace sora::kernels::cuda
