// What may be written to the terminal, and how.
#pragma once

#include <string>
#include <string_view>

namespace sora::cli {

// A bar may be drawn on stderr: it is a terminal that can move the cursor, and NO_COLOR-like wishes
// do not matter to it, but TERM=dumb does.
bool stderr_is_animated();

// `text` without control characters and escape sequences, so that a prompt or a file name cannot
// steer the terminal.
std::string printable(std::string_view text);

}  // namespace sora::cli
