#include "lib/nn/companion_library.h"

#include <dlfcn.h>

#include <filesystem>

namespace sora {

void* companion_symbol(const char* library, const char* symbol) {
  std::filesystem::path path = library;
  Dl_info own = {};
  if (dladdr(reinterpret_cast<const void*>(&companion_symbol), &own) != 0 &&
      own.dli_fname != nullptr) {
    path = std::filesystem::path(own.dli_fname).parent_path() / library;
  }
  void* const loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  return loaded == nullptr ? nullptr : dlsym(loaded, symbol);
}

}  // namespace sora
