// Memory in pages of 2 MiB.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

constexpr int64_t kLargePage = int64_t{2} << 20;

// `bytes` of memory, to be given back by std::free(): from a large page on, where the system has
// such, in large pages, which are mapped, cleared and looked up at a fraction of the cost; less is
// aligned to a small page. Throws std::bad_alloc.
void* memory_in_large_pages(int64_t bytes);

}  // namespace sora::kernels::cpu
