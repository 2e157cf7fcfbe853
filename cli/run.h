// Carries out a parsed command: stdout gets results only, stderr the rest.
#pragma once

#include "cli/command.h"
#include "lib/sora.h"

namespace sora::cli {

// The request that is to be carried out: the one on the command line, or the recipe's with its
// output.
Request with_recipe(const MakeClips& make, Engine& engine);

void run(const Command& command);  // throws Error

}  // namespace sora::cli
