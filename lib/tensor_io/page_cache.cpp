#include "lib/tensor_io/page_cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace sora {

void forget_mapped_pages(const std::byte* data, size_t size) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(data);
  // Whole pages alone: the first and the last may hold a neighbour that is in use.
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + size) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace sora
