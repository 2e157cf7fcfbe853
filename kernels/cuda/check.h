// CUDA's errors as exceptions, and what a device has code for.
//
// Note [An error is told once]
// The runtime remembers a thread's last error, and libtorch would tell of it at the next operator
// that asks, which has no part in it. So what is thrown or answered here is forgotten there.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace sora::kernels::cuda {

inline void check(cudaError_t error) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  throw std::runtime_error(std::string("CUDA kernels: ") + cudaGetErrorString(error));
}

// Whether this program holds code of a kernel that the current device can run.
template <class... Arguments>
bool has_code_of(void (*kernel)(Arguments...)) {
  cudaFuncAttributes attributes;
  if (cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess) return true;
  cudaGetLastError();
  return false;
}

}  // namespace sora::kernels::cuda
