// Completion scripts, after the shells' own documents: bash "Programmable Completion", zsh
// "Completion System"
// (_arguments), fish "Writing your own completions".
#include "cli/description/app_walk.h"
#include "cli/description/self_description.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

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
         "    COMPREPLY=($(compgen -W \"" +
         join(commands, " ") +
         " --help --version\" -- \"$current\"))\n"
         "    return\n"
         "  fi\n"
         "  case \"${COMP_WORDS[1]}\" in\n" +
         cases +
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
    commands +=
        "    " + single_quoted(subcommand->get_name() + ":" + subcommand->get_description()) + "\n";
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
    cases += "      " + subcommand->get_name() + ")\n        _arguments" + specs +
             " \\\n        '*:file:_files' ;;\n";
  }
  return "#compdef sora\n"
         "_sora() {\n"
         "  local -a commands\n"
         "  commands=(\n" +
         commands +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe 'command' commands\n"
         "  else\n"
         "    local command=$words[2]\n"
         "    shift words\n"
         "    (( CURRENT-- ))\n"
         "    case $command in\n" +
         cases +
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

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return bash_script(app);
  if (shell == "zsh") return zsh_script(app);
  if (shell == "fish") return fish_script(app);
  fail(ErrorKind::Usage,
       "there is no completion for the shell '{}'; there is one for bash, zsh and fish", shell);
}

}  // namespace sora::cli
