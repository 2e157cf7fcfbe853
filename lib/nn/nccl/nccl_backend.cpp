#include "lib/nn/nccl_backend.h"

#include <chrono>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace {

// As long as for Gloo: one rank may wait for another that decodes or writes.
constexpr std::chrono::milliseconds kPatience = std::chrono::hours(24);

}  // namespace

extern "C" __attribute__((visibility("default"))) c10d::Backend* sora_make_nccl_backend(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int size) {
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = kPatience;
  c10::intrusive_ptr<c10d::Backend> backend =
      c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
  return backend.release();
}
