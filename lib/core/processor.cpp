// GCC's __builtin_cpu_supports reads CPUID and whether the system saves the registers.
#include "lib/core/processor.h"

namespace sora {

bool has_bf16_dot_products() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

}  // namespace sora
