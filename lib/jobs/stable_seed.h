// The seed of a job that names none, and names that stand for texts: made from what is asked, so
// that the same file always means the same clips, in whatever order, on whatever machine, in
// however many shards.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sora {

// `repetition` counts from 0 the jobs of a batch that ask for the same. 32 bits, as a random one
// has.
uint32_t stable_seed(std::string_view wish, int64_t repetition);

// 16 hexadecimal digits that stand for a text.
std::string stable_name(std::string_view text);

}  // namespace sora
