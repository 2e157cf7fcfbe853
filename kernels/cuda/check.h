// CUDA's errors as exceptions.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace sora::kernels::cuda {

inline void check(cudaError_t error) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string("attention on CUDA: ") + cudaGetErrorString(error));
}

}  // namespace sora::kernels::cuda
