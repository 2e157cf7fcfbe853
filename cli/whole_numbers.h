// Whole numbers on the command line are written in base 10, by digits alone.
#pragma once

#include <CLI/CLI.hpp>

namespace sora::cli {

// Holds for all options of `app` and of its subcommands that are declared so far and take one.
void read_in_base_10(CLI::App& app);

}  // namespace sora::cli
