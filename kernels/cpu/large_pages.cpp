#include "kernels/cpu/large_pages.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace sora::kernels::cpu {

void* memory_in_large_pages(int64_t bytes) {
  constexpr int64_t kSmallPage = 4096;
  const auto size = static_cast<size_t>(bytes);
  const int64_t alignment = bytes < kLargePage ? kSmallPage : kLargePage;
  void* memory = nullptr;
  if (posix_memalign(&memory, static_cast<size_t>(alignment), size) != 0) throw std::bad_alloc();
  if (alignment == kLargePage) madvise(memory, size, MADV_HUGEPAGE);  // no more than a wish
  return memory;
}

}  // namespace sora::kernels::cpu
