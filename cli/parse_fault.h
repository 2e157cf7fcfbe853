// What a command line that does not parse is told: a sentence with what was found and what was
// wanted, and exit code 2 like every other wrong request, instead of CLI11's own words and codes.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace sora::cli {

// Throws Error(Usage). `called` is the innermost subcommand on the command line, or the whole
// program.
[[noreturn]] void fail_to_parse(const CLI::ParseError& error, const CLI::App& called);

// The name nearest to `word`, or nothing where none is within a third of its letters.
std::string nearest(const std::string& word, const std::vector<std::string>& names);

}  // namespace sora::cli
