#include "kernels/cpu/packed_memory.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "kernels/cpu/ceil_div.h"
#include "kernels/cpu/large_pages.h"

namespace sora::kernels::cpu {
namespace {

std::atomic<int64_t> packed_bytes = 0;

}  // namespace

at::Tensor packed_memory(at::IntArrayRef shape) {
  static const int64_t most = sysconf(_SC_PHYS_PAGES) / 2 * sysconf(_SC_PAGESIZE);
  constexpr int64_t kPage = 4096;
  const int64_t bytes = ceil_div(2 * c10::multiply_integers(shape), kPage) * kPage;
  if ((packed_bytes += bytes) > most) {
    packed_bytes -= bytes;
    return {};
  }
  // Each piece of weights lies in a page of its own or shares it with one other: with large pages
  // fewer of them have to be looked up.
  void* memory = memory_in_large_pages(bytes);
  const auto give_back = [bytes](void* data) {
    std::free(data);
    packed_bytes -= bytes;
  };
  return at::from_blob(memory, shape, give_back, at::kBFloat16);
}

}  // namespace sora::kernels::cpu
