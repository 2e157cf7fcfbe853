#include "kernels/cuda/gpu.h"

#include <ATen/Context.h>
#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>

#include <map>
#include <mutex>

#include "kernels/cuda/attention_problem.h"
#include "kernels/cuda/row_problem.h"

namespace sora::kernels::cuda {
namespace {

// Asked first: libtorch's CUDA half takes a second to load.
bool has_driver() {
  static const bool found = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) != nullptr;
  return found;
}

// It registers itself with libtorch; programs do not link it.
bool has_cuda_half() {
  static const bool loaded = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  return loaded;
}

}  // namespace

int num_gpus() {
  static const int count = has_driver() && has_cuda_half() && at::hasCUDA()
                               ? at::detail::getCUDAHooks().deviceCount()
                               : 0;
  return count;
}

bool gpu_is_available() { return num_gpus() > 0; }

std::string why_no_gpu() {
  if (!has_driver()) return "there is no NVIDIA GPU here, or no driver for it (libcuda.so.1)";
  if (!has_cuda_half())
    return "libtorch is here without its CUDA half (scripts/get-libtorch --cuda brings it)";
  return "there is no NVIDIA GPU here that its driver shows";
}

bool has_own_kernels() { return built_with_cuda(); }

bool has_own_kernels_for(at::Device gpu) {
  if (!has_own_kernels()) return false;
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, bool> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(gpu.index()); found != known.end()) return found->second;
  const c10::DeviceGuard guard(gpu);
  return known[gpu.index()] = attention_runs_here() && rows_run_here();
}

}  // namespace sora::kernels::cuda
