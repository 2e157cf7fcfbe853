// dlopen(3); the library is looked for beside the program, in the build tree's place and in the
// installed one.
#include "cli/engine_library.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <filesystem>

#include "cli/signals.h"
#include "lib/core/error.h"
#include "sora/build_config.h"

namespace sora::cli {
namespace {

// libtorch's threads wait for each other in busy loops by default. Where other programs want the
// processor too, a loop waits for a thread that is not running.
constexpr const char* kSpinCount = "1000";

void* open_library() {
  setenv("GOMP_SPINCOUNT", kSpinCount, /*overwrite=*/0);  // libgomp reads it when it is loaded
  const std::filesystem::path program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path();
  std::string tried;
  for (const char* relative : kEngineLibraryPaths) {
    const std::filesystem::path path = (program / relative).lexically_normal();
    if (!std::filesystem::exists(path)) {
      tried += (tried.empty() ? "" : ", ") + path.string();
      continue;
    }
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    fail(ErrorKind::Internal, "{} could not be loaded: {}; run scripts/quickstart again",
         path.string(), dlerror());
  }
  fail(ErrorKind::Internal,
       "libsora.so is not beside the program (looked for {}); install both together", tried);
}

}  // namespace

std::unique_ptr<Engine> load_engine() {
  void* library = open_library();
  void* symbol = dlsym(library, "sora_new_engine");
  if (symbol == nullptr)
    fail(ErrorKind::Internal, "libsora.so has no sora_new_engine; it is of another version");
  clean_up_with(reinterpret_cast<void (*)()>(dlsym(library, "sora_remove_unfinished_files")));
  return std::unique_ptr<Engine>(reinterpret_cast<Engine* (*)()>(symbol)());
}

}  // namespace sora::cli
