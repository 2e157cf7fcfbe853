// Mapped pages that are no longer needed.
#pragma once

#include <cstddef>

namespace sora {

// Takes the pages of a mapped file that lie wholly in these bytes out of this process's memory; the
// system keeps them as long as it has room, and reading them again brings them back.
void forget_mapped_pages(const std::byte* begin, size_t size);

}  // namespace sora
