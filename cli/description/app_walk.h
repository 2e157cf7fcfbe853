// What the pages and scripts about the command line read from it, in one form.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace sora::cli {

std::vector<const CLI::App*> subcommands_of(const CLI::App& app);  // hidden ones left out
// The same with the subcommands of each after it: what a page has a section for.
std::vector<const CLI::App*> all_subcommands_of(const CLI::App& app);
std::string full_name(const CLI::App& subcommand);                // "queue add"
std::vector<const CLI::Option*> options_of(const CLI::App& app);  // likewise
bool takes_value(const CLI::Option& option);
bool takes_file(const CLI::Option& option);      // a media, text or weights file
bool completes_file(const CLI::Option& option);  // or what else may be one, as a model
bool completes_folder(const CLI::Option& option);
std::vector<std::string> flags_of(
    const CLI::Option& option);  // {"-o", "--output"}; empty for a positional

// The lines of a footer that begins with "Examples:", without that heading.
std::vector<std::string> examples_of(const CLI::App& app);

std::string join(const std::vector<std::string>& words, const std::string& between);

}  // namespace sora::cli
