#include "kernels/cuda/gpu.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include "kernels/cuda/attention_problem.h"

namespace sora::kernels::cuda {

bool gpu_is_available() {
  static const bool available = [] {
    if (!built_with_cuda()) return false;
    dlopen("libtorch_cuda.so",
           RTLD_NOW | RTLD_GLOBAL);  // registers itself; programs do not link it
    return at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
  }();
  return available;
}

}  // namespace sora::kernels::cuda
