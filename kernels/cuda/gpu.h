// Whether there is a GPU to use, found out on the first call.
#pragma once

namespace sora::kernels::cuda {

// Loads libtorch's CUDA half where it is installed; false without it, without a GPU, or without
// this project's kernels for it.
bool gpu_is_available();

}  // namespace sora::kernels::cuda
