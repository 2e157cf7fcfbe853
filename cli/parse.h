// From argv to a Command, with nothing else done.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"

namespace sora::cli {

// The whole command line as CLI11 sees it; `chosen` is filled by parsing. Both must outlive the
// app's use.
std::unique_ptr<CLI::App> make_app(Command& chosen);

// `arguments` are argv without the program's name. Help and version come back as PrintText.
// Throws Error(Usage) for anything that does not parse.
Command parse(const std::vector<std::string>& arguments);

}  // namespace sora::cli
