#include "lib/nn/device.h"

#include <ATen/Context.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "kernels/cuda/gpu.h"
#include "lib/core/error.h"

namespace sora {

namespace {

// torchrun and this program set these for each rank.
int number_from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  if (text == nullptr) return otherwise;
  const std::string_view digits(text);
  int value = otherwise;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

}  // namespace

at::Device gpu_of(int local_rank, int num_local_ranks, int num_gpus) {
  if (num_local_ranks > num_gpus || local_rank >= num_gpus) {
    fail(
        ErrorKind::Usage,
        "{} ranks on this machine want a GPU each and it has {}; start fewer, or take --device cpu",
        std::max(num_local_ranks, local_rank + 1), num_gpus);
  }
  return {at::kCUDA, static_cast<at::DeviceIndex>(std::max(local_rank, 0))};
}

at::Device choose_device(const std::string& wish) {
  if (wish == "cpu") return at::kCPU;
  if (wish != "auto" && wish != "cuda") {
    fail(ErrorKind::Usage, "--device {} is unknown; it is auto, cpu or cuda", wish);
  }
  if (kernels::cuda::gpu_is_available()) {
    at::globalContext().setAllowTF32CuDNN(false);  // f32 is f32, in convolutions too
    const int rank = number_from_environment("LOCAL_RANK", 0);
    return gpu_of(rank, number_from_environment("LOCAL_WORLD_SIZE", rank + 1),
                  kernels::cuda::num_gpus());
  }
  if (wish == "auto") return at::kCPU;
  fail(ErrorKind::Usage, "--device cuda cannot be used: {}; leave it out or write --device cpu",
       kernels::cuda::why_no_gpu());
}

std::vector<std::string> device_names() {
  return kernels::cuda::gpu_is_available() ? std::vector<std::string>{"cpu", "cuda"}
                                           : std::vector<std::string>{"cpu"};
}

std::string device_name(at::Device device) {
  return c10::DeviceTypeName(device.type(), /*lower_case=*/true);
}

}  // namespace sora
