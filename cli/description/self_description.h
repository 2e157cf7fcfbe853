// What the program can say about its own command line: completion scripts, the man page and
// docs/cli.md, all made by walking the options, so that they cannot fall behind.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "cli/command.h"

namespace sora::cli {

// Adds the hidden options --generate-completion SHELL, --generate-man and --generate-reference.
void add_self_description(CLI::App& app, Command& chosen);

std::string completion_script(const CLI::App& app,
                              const std::string& shell);  // bash | zsh | fish; throws Error(Usage)
std::string man_page(const CLI::App& app);                // roff, section 1 (man-pages(7))
std::string reference_page(const CLI::App& app);          // Markdown, docs/cli.md

}  // namespace sora::cli
