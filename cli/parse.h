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
// Throws Error(Usage) for anything that does not parse, with the nearest known option where one is
// close.
Command parse(const std::vector<std::string>& arguments);

// The name nearest to `word`, or nothing where none is within a third of its letters.
std::string nearest(const std::string& word, const std::vector<std::string>& names);

}  // namespace sora::cli
