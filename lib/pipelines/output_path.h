// Names of output files that the user left to the program.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sora {

// "a Red ball!" -> "a-red-ball": ASCII letters and digits, at most 48 bytes; "clip" where none is
// left.
std::string slug(std::string_view text);

// "SLUG-SEED.mp4" in the current folder, with "-2", "-3", ... before the extension while a file of
// that name, or of one of its `count` variations, exists.
std::string free_output_path(std::string_view prompt, uint64_t seed, int count);

}  // namespace sora
