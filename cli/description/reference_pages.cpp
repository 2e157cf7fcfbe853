// The man page, after man-pages(7), and docs/cli.md.
#include <fmt/format.h>

#include "cli/description/app_walk.h"
#include "cli/description/self_description.h"
#include "sora/build_config.h"

namespace sora::cli {
namespace {

std::string roff(const std::string& text) {
  std::string result;
  bool at_line_start = true;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      if (at_line_start && (c == '.' || c == '\'')) result += "\\&";
      result += c;
    }
    at_line_start = c == '\n';
  }
  return result;
}

std::string name_of(const CLI::Option& option) {
  const std::vector<std::string> flags = flags_of(option);
  if (flags.empty()) return option.get_single_name() + " " + option.get_type_name();
  std::string name = join(flags, ", ");
  if (takes_value(option)) name += " " + option.get_type_name();
  if (takes_value(option) && !option.get_default_str().empty())
    name += "=" + option.get_default_str();
  return name;
}

}  // namespace

std::string man_page(const CLI::App& app) {
  std::string page = fmt::format(".TH SORA 1 \"\" \"sora {}\" \"User Commands\"\n", kVersion);
  page += ".SH NAME\nsora \\- " + roff(app.get_description()) + "\n";
  page += ".SH SYNOPSIS\n.B sora\n.I COMMAND\n[\\fIOPTIONS\\fR]\n";
  for (const CLI::App* subcommand : all_subcommands_of(app)) {
    page += ".SH SORA " + roff(full_name(*subcommand)) + "\n" +
            roff(subcommand->get_description()) + ".\n";
    for (const CLI::Option* option : options_of(*subcommand)) {
      page += ".TP\n.B " + roff(name_of(*option)) + "\n" + roff(option->get_description()) + ".\n";
    }
    page += ".PP\nExamples:\n.nf\n";
    for (const std::string& example : examples_of(*subcommand)) page += roff(example) + "\n";
    page += ".fi\n";
  }
  page +=
      ".SH EXIT STATUS\n"
      "0 done, 1 internal error, 2 wrong usage, 3 invalid input or model, 4 not found, 5 out of "
      "memory,\n"
      "6 disk or pipe, 7 batch partly failed, 8 refused, 9 numerical failure, 75 stopped and "
      "resumable,\n"
      "130 interrupted, 143 terminated.\n";
  return page;
}

std::string reference_page(const CLI::App& app) {
  std::string page =
      "# Command line\n\nMade by `sora --generate-reference`; a test compares the two. "
      "Results go to stdout, messages and progress to stderr.\n";
  for (const CLI::App* subcommand : all_subcommands_of(app)) {
    page += fmt::format("\n## sora {}\n\n{}.\n\n```\n", full_name(*subcommand),
                        subcommand->get_description());
    for (const std::string& example : examples_of(*subcommand)) page += example + "\n";
    page += "```\n\n| option | meaning |\n|---|---|\n";
    for (const CLI::Option* option : options_of(*subcommand)) {
      page += fmt::format("| `{}` | {} |\n", name_of(*option), option->get_description());
    }
  }
  page +=
      "\n## Exit codes\n\n| code | meaning |\n|---|---|\n| 0 | done |\n| 1 | internal error |\n| 2 "
      "| wrong usage |\n"
      "| 3 | invalid input or model |\n| 4 | not found |\n| 5 | out of memory |\n| 6 | disk or "
      "pipe |\n"
      "| 7 | batch partly failed |\n| 8 | refused by policy or plan |\n| 9 | numerical failure "
      "(NaN, constant clip) |\n"
      "| 75 | stopped, can be resumed |\n| 130, 143 | interrupted, terminated |\n";
  return page;
}

}  // namespace sora::cli
