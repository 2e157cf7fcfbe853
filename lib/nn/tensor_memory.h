// Large blocks of tensor memory, kept for the next tensor of about the same size instead of going
// back to the system. A network asks for the same few sizes again and again; memory fresh from the
// system has to be mapped and cleared page by page, which on a virtual machine costs more than the
// convolution or matrix product that fills it.
#pragma once

#include <cstdint>

namespace sora {

// From now on, CPU tensors of this process are allocated this way, and up to `limit_bytes` of what
// was freed is kept, least recently used first to go. Calling it again changes the limit.
void keep_tensor_memory(int64_t limit_bytes);

// Gives back to the system all that is kept, before something large is loaded.
void release_tensor_memory();

// Bytes kept and not in use.
int64_t kept_tensor_bytes();

// Blocks that came from the system since the process began: it stands still where all that a loop
// needs is kept.
int64_t fresh_tensor_blocks();

}  // namespace sora
