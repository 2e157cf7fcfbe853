// What may be written to the terminal, and how.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace sora::cli {

// A bar may be drawn on stderr: it is a terminal that can move the cursor, and NO_COLOR-like wishes
// do not matter to it, but TERM=dumb does.
bool stderr_is_animated();

// `text` without control characters and escape sequences, so that a prompt or a file name cannot
// steer the terminal.
std::string printable(std::string_view text);

// To stderr. That it is closed, full or read by nobody any more stops no work.
void tell_text(std::string_view text);

template <typename... Args>
void tell(fmt::format_string<Args...> format, Args&&... args) {
  tell_text(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sora::cli
