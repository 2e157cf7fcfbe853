// What pictures the terminal can show, by what it says of itself.
#pragma once

#include <optional>
#include <string_view>

#include "lib/core/pictures.h"

namespace sora::cli {

// Asks the terminal behind a descriptor; empty where it is none or TERM says that it cannot move
// the cursor. Waits a moment for an answer. With NO_COLOR set, characters without colour; a
// terminal that does not answer, or is not this process's to ask, gets half blocks.
std::optional<TerminalForm> ask_terminal(int descriptor);

// The questions, and `form` changed by what a terminal answered to them: kitty's "OK" to a query of
// graphics, attribute 4 of the primary device attributes for sixels, the size of a cell.
std::string_view terminal_questions();
bool is_complete_answer(std::string_view answer);
TerminalForm understood(std::string_view answer, TerminalForm form);

}  // namespace sora::cli
