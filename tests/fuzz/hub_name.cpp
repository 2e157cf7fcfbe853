// Names of models in the Hugging Face cache: whatever is accepted must stay below the cache.
#include "lib/tensor_io/hub_cache.h"
#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(hub_name) {
  const auto name = sora::parse_hub_name(bytes);
  if (!name) return;
  const std::filesystem::path below = std::filesystem::path("/cache/refs") / name->revision;
  if (!below.lexically_normal().string().starts_with("/cache/refs/")) __builtin_trap();
  if (name->repository.find("..") != std::string::npos) __builtin_trap();
}
