// XXH3, whose values are fixed by its specification.
#include "lib/jobs/stable_seed.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

namespace sora {

uint32_t stable_seed(std::string_view wish, int64_t repetition) {
  return static_cast<uint32_t>(
      XXH3_64bits_withSeed(wish.data(), wish.size(), static_cast<XXH64_hash_t>(repetition)));
}

std::string stable_name(std::string_view text) {
  return fmt::format("{:08x}{:08x}", stable_seed(text, 0), stable_seed(text, 1));
}

}  // namespace sora
