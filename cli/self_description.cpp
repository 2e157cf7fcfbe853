// The scripts follow the shells' own documents: bash "Programmable Completion", zsh "Completion System" (_arguments),
// fish "Writing your own completions". The man page follows man-pages(7).
#include "cli/self_description.h"

#include <sstream>

#include "lib/core/error.h"
#include "sora/build_config.h"

namespace sora::cli {
namespace {

std::vector<const CLI::App*> subcommands_of(const CLI::App& app) {
  std::vector<const CLI::App*> visible;
  for (const CLI::App* subcommand : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!subcommand->get_group().empty()) visible.push_back(subcommand);
  }
  return visible;
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

// Text inside single quotes, for all three shells.
std::string single_quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string bash_script(const CLI::App& app) {
  std::vector<std::string> commands;
  std::string cases;
  for (const CLI::App* subcommand : subcommands_of(app)) {
    commands.push_back(subcommand->get_name());
    std::vector<std::string> flags;
    for (const CLI::Option* option : options_of(*subcommand)) {
      for (const std::string& flag : flags_of(*option)) flags.push_back(flag);
    }
    cases += "    " + subcommand->get_name() + ") words=\"" + join(flags, " ") + "\" ;;\n";
  }
  return "# bash completion for sora\n"
         "_sora() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    COMPREPLY=($(compgen -W \"" + join(commands, " ") + " --help --version\" -- \"$current\"))\n"
         "    return\n"
         "  fi\n"
         "  case \"${COMP_WORDS[1]}\" in\n" + cases +
         "  esac\n"
         "  case \"$current\" in\n"
         "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) ;;\n"
         "    *) COMPREPLY=($(compgen -f -- \"$current\")) ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _sora sora\n";
}

std::string zsh_script(const CLI::App& app) {
  std::string commands;
  std::string cases;
  for (const CLI::App* subcommand : subcommands_of(app)) {
    commands += "    " + single_quoted(subcommand->get_name() + ":" + subcommand->get_description()) + "\n";
    std::string specs;
    for (const CLI::Option* option : options_of(*subcommand)) {
      for (const std::string& flag : flags_of(*option)) {
        std::string text;
        for (const char c : option->get_description()) {
          if (c == '[' || c == ']' || c == ':') text += '\\';
          text += c;
        }
        std::string spec = flag + "[" + text + "]";
        if (takes_value(*option)) {
          spec += ":" + option->get_type_name() + ":" + (takes_file(*option) ? "_files" : "");
        }
        specs += " \\\n        " + single_quoted(spec);
      }
    }
    cases += "      " + subcommand->get_name() + ")\n        _arguments" + specs + " \\\n        '*:file:_files' ;;\n";
  }
  return "#compdef sora\n"
         "_sora() {\n"
         "  local -a commands\n"
         "  commands=(\n" + commands +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe 'command' commands\n"
         "  else\n"
         "    local command=$words[2]\n"
         "    shift words\n"
         "    (( CURRENT-- ))\n"
         "    case $command in\n" + cases +
         "    esac\n"
         "  fi\n"
         "}\n"
         "if [ \"$funcstack[1]\" = \"_sora\" ]; then _sora \"$@\"; else compdef _sora sora; fi\n";
}

std::string fish_script(const CLI::App& app) {
  std::string script = "# fish completion for sora\n";
  for (const CLI::App* subcommand : subcommands_of(app)) {
    script += "complete -c sora -n __fish_use_subcommand -f -a " + subcommand->get_name() + " -d " +
              single_quoted(subcommand->get_description()) + "\n";
    for (const CLI::Option* option : options_of(*subcommand)) {
      if (option->get_lnames().empty() && option->get_snames().empty()) continue;
      script += "complete -c sora -n '__fish_seen_subcommand_from " + subcommand->get_name() + "'";
      for (const std::string& name : option->get_snames()) script += " -s " + name;
      for (const std::string& name : option->get_lnames()) script += " -l " + name;
      if (takes_value(*option)) script += takes_file(*option) ? " -r -F" : " -x";
      script += " -d " + single_quoted(option->get_description()) + "\n";
    }
  }
  return script;
}

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

// The lines of a footer that begins with "Examples:", without that heading.
std::vector<std::string> examples_of(const CLI::App& app) {
  std::vector<std::string> examples;
  std::istringstream lines(app.get_footer());
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("  ", 0) == 0) examples.push_back(line.substr(2));
  }
  return examples;
}

std::string name_of(const CLI::Option& option) {
  const std::vector<std::string> flags = flags_of(option);
  if (flags.empty()) return option.get_type_name();
  return join(flags, ", ") + (takes_value(option) ? " " + option.get_type_name() : "");
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return bash_script(app);
  if (shell == "zsh") return zsh_script(app);
  if (shell == "fish") return fish_script(app);
  fail(ErrorKind::Usage, "there is no completion for the shell '{}'; there is one for bash, zsh and fish", shell);
}

std::string man_page(const CLI::App& app) {
  std::string page = fmt::format(".TH SORA 1 \"\" \"sora {}\" \"User Commands\"\n", kVersion);
  page += ".SH NAME\nsora \\- " + roff(app.get_description()) + "\n";
  page += ".SH SYNOPSIS\n.B sora\n.I COMMAND\n[\\fIOPTIONS\\fR]\n";
  for (const CLI::App* subcommand : subcommands_of(app)) {
    page += ".SH SORA " + roff(subcommand->get_name()) + "\n" + roff(subcommand->get_description()) + ".\n";
    for (const CLI::Option* option : options_of(*subcommand)) {
      page += ".TP\n.B " + roff(name_of(*option)) + "\n" + roff(option->get_description()) + ".\n";
    }
    page += ".PP\nExamples:\n.nf\n";
    for (const std::string& example : examples_of(*subcommand)) page += roff(example) + "\n";
    page += ".fi\n";
  }
  page += ".SH EXIT STATUS\n"
          "0 done, 1 internal error, 2 wrong usage, 3 invalid input or model, 4 not found, 5 out of memory,\n"
          "6 disk or pipe, 7 batch partly failed, 8 refused, 9 numerical failure, 75 stopped and resumable,\n"
          "130 interrupted, 143 terminated.\n";
  return page;
}

std::string reference_page(const CLI::App& app) {
  std::string page =
      "# Command line\n\nMade by `sora --generate-reference`; a test compares the two. "
      "Results go to stdout, messages and progress to stderr.\n";
  for (const CLI::App* subcommand : subcommands_of(app)) {
    page += fmt::format("\n## sora {}\n\n{}.\n\n```\n", subcommand->get_name(), subcommand->get_description());
    for (const std::string& example : examples_of(*subcommand)) page += example + "\n";
    page += "```\n\n| option | meaning |\n|---|---|\n";
    for (const CLI::Option* option : options_of(*subcommand)) {
      page += fmt::format("| `{}` | {} |\n", name_of(*option), option->get_description());
    }
  }
  page +=
      "\n## Exit codes\n\n| code | meaning |\n|---|---|\n| 0 | done |\n| 1 | internal error |\n| 2 | wrong usage |\n"
      "| 3 | invalid input or model |\n| 4 | not found |\n| 5 | out of memory |\n| 6 | disk or pipe |\n"
      "| 7 | batch partly failed |\n| 8 | refused by policy or plan |\n| 9 | numerical failure (NaN, constant clip) |\n"
      "| 75 | stopped, can be resumed |\n| 130, 143 | interrupted, terminated |\n";
  return page;
}

void add_self_description(CLI::App& app, Command& chosen) {
  app.add_option_function<std::string>("--generate-completion",
                                       [&app, &chosen](const std::string& shell) {
                                         chosen.action = PrintText{completion_script(app, shell)};
                                       })
      ->group("");
  app.add_flag_callback("--generate-man", [&app, &chosen] { chosen.action = PrintText{man_page(app)}; })->group("");
  app.add_flag_callback("--generate-reference", [&app, &chosen] { chosen.action = PrintText{reference_page(app)}; })
      ->group("");
}

}  // namespace sora::cli
