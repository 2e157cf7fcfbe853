// Shard indices: a name that is accepted stays in the index's directory.
#include "lib/tensor_io/shard_index.h"

#include <filesystem>

#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(shard_index) {
  const sora::ShardIndex shards = sora::parse_shard_index(bytes, "index.json");
  if (shards.empty()) __builtin_trap();
  for (const auto& [tensor, name] : shards) {
    const std::filesystem::path path(name);
    if (path.empty() || path.is_absolute() || path.has_parent_path() || name == "..")
      __builtin_trap();
  }
}
