// Libraries beside the one that this code is in, which link libtorch's CUDA half and are loaded
// only where they are asked for: no CPU has a use for them.
#pragma once

namespace sora {

// What stands under a name in such a library; null where the library is not there, as in a build
// without CUDA. It stays loaded.
void* companion_symbol(const char* library, const char* symbol);

}  // namespace sora
