// An option or subcommand in the group "" is hidden, as in CLI11's own help.
#include "cli/description/app_walk.h"

#include <sstream>

namespace sora::cli {

std::vector<const CLI::App*> subcommands_of(const CLI::App& app) {
  std::vector<const CLI::App*> visible;
  for (const CLI::App* subcommand : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!subcommand->get_group().empty()) visible.push_back(subcommand);
  }
  return visible;
}

std::vector<const CLI::App*> all_subcommands_of(const CLI::App& app) {
  std::vector<const CLI::App*> all;
  for (const CLI::App* subcommand : subcommands_of(app)) {
    all.push_back(subcommand);
    for (const CLI::App* nested : all_subcommands_of(*subcommand)) all.push_back(nested);
  }
  return all;
}

std::string full_name(const CLI::App& subcommand) {
  const CLI::App* parent = subcommand.get_parent();
  const bool is_nested = parent != nullptr && parent->get_parent() != nullptr;
  return is_nested ? full_name(*parent) + " " + subcommand.get_name() : subcommand.get_name();
}

std::vector<const CLI::Option*> options_of(const CLI::App& app) {
  std::vector<const CLI::Option*> visible;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) visible.push_back(option);
  }
  return visible;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }
bool takes_file(const CLI::Option& option) { return option.get_type_name() == "FILE"; }

bool completes_file(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return takes_file(option) || type == "PATH" || type == "MODEL";
}

bool completes_folder(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type == "DIR" || type == "FOLDER";
}

std::vector<std::string> flags_of(const CLI::Option& option) {
  std::vector<std::string> flags;
  for (const std::string& name : option.get_snames()) flags.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) flags.push_back("--" + name);
  return flags;
}

std::string join(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::vector<std::string> examples_of(const CLI::App& app) {
  std::vector<std::string> examples;
  std::istringstream lines(app.get_footer());
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("  ", 0) == 0) examples.push_back(line.substr(2));
  }
  return examples;
}

}  // namespace sora::cli
