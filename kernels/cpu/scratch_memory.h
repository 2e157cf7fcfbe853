// Memory that a thread keeps from call to call of the kernels.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

// At least `bytes`, 64-byte aligned, of the calling thread; the content does not last beyond the
// next call.
char* scratch_memory(int64_t bytes);

}  // namespace sora::kernels::cpu
