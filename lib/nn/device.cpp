#include "lib/nn/device.h"

#include "kernels/cuda/gpu.h"
#include "lib/core/error.h"

namespace sora {

at::Device choose_device(const std::string& wish) {
  if (wish == "cpu") return at::kCPU;
  if (wish != "auto" && wish != "cuda") {
    fail(ErrorKind::Usage, "--device {} is unknown; it is auto, cpu or cuda", wish);
  }
  if (kernels::cuda::gpu_is_available()) return {at::kCUDA, 0};
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
