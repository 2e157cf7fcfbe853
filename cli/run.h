// Carries out a parsed command: stdout gets results only, stderr the rest.
#pragma once

#include "cli/command.h"

namespace sora::cli {

void run(const Command& command);  // throws Error

}  // namespace sora::cli
