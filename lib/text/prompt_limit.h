// How long a prompt may be.
#pragma once

#include <cstddef>

namespace sora {

inline constexpr size_t kMaxPromptBytes = 64 << 10;

}  // namespace sora
