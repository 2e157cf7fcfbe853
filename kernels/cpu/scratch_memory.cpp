#include "kernels/cpu/scratch_memory.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace sora::kernels::cpu {

char* scratch_memory(int64_t bytes) {
  constexpr int64_t kAlignment = 64;
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  thread_local std::unique_ptr<char, Free> memory;
  thread_local int64_t size = 0;
  if (size < bytes) {
    const int64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    memory.reset(static_cast<char*>(std::aligned_alloc(kAlignment, static_cast<size_t>(rounded))));
    if (!memory) throw std::bad_alloc();
    size = rounded;
  }
  return memory.get();
}

}  // namespace sora::kernels::cpu
