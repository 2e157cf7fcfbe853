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

std::vector<std::string> names_of(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  return names;
}

std::string bash_script(const CLI::App& app) {
  std::string cases;
  std::vector<std::string> pairs;
  for (const CLI::App* subcommand : all_subcommands_of(app)) {
    std::vector<std::string> flags;
    for (const CLI::Option* option : options_of(*subcommand)) {
      for (const std::string& flag : flags_of(*option)) flags.push_back(flag);
    }
    const std::string name = "'" + full_name(*subcommand) + "'";
    if (name.find(' ') != std::string::npos) pairs.push_back(name);
    cases += "    " + name + ") words=\"" + join(flags, " ") + "\" actions=\"" +
             join(names_of(subcommands_of(*subcommand)), " ") + "\" ;;\n";
  }
  return "# bash completion for sora\n"
         "_sora() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" command=\"${COMP_WORDS[1]}\" words=\"\" "
         "actions=\"\"\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"" +
         join(names_of(subcommands_of(app)), " ") +
         " --help --version\" -- \"$current\")\n"
         "    return\n"
         "  fi\n"
         "  if [ \"$COMP_CWORD\" -gt 2 ]; then\n"
         "    case \"$command ${COMP_WORDS[2]}\" in\n"
         "      " +
         join(pairs, " | ") +
         ") command=\"$command ${COMP_WORDS[2]}\" ;;\n"
         "    esac\n"
         "  fi\n"
         "  case \"$command\" in\n" +
         cases +
         "  esac\n"
         "  [ \"$COMP_CWORD\" -eq 2 ] || actions=\"\"\n"
         "  case \"$current\" in\n"
         "    -*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\") ;;\n"
         "    *) mapfile -t COMPREPLY < <(compgen -W \"$actions\" -- \"$current\"\n"
         "      compgen -f -- \"$current\") ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _sora sora\n";
}

// One per command, as _describe takes them.
std::string zsh_descriptions(const std::vector<const CLI::App*>& commands) {
  std::string lines;
  for (const CLI::App* command : commands)
    lines += "    " + single_quoted(command->get_name() + ":" + command->get_description()) + "\n";
  return lines;
}

// What completes an option's value.
std::string zsh_values(const CLI::Option& option) {
  if (completes_file(option)) return "_files";
  return completes_folder(option) ? "_files -/" : "";
}

std::string zsh_arguments(const CLI::App& command) {
  std::string specs;
  for (const CLI::Option* option : options_of(command)) {
    for (const std::string& flag : flags_of(*option)) {
      std::string text;
      for (const char c : option->get_description()) {
        if (c == '[' || c == ']' || c == ':') text += '\\';
        text += c;
      }
      std::string spec = flag + "[" + text + "]";
      if (takes_value(*option)) {
        spec += ":" + option->get_type_name() + ":" + zsh_values(*option);
      }
      specs += " \\\n        " + single_quoted(spec);
    }
  }
  return "_arguments" + specs + " \\\n        '*:file:_files'";
}

// What stands before a command's own arguments where it has actions.
std::string zsh_actions(const CLI::App& command) {
  const std::vector<const CLI::App*> actions = subcommands_of(command);
  if (actions.empty()) return "";
  std::string cases;
  for (const CLI::App* action : actions) {
    cases += "          " + action->get_name() +
             ")\n        shift words\n        (( CURRENT-- ))\n        " + zsh_arguments(*action) +
             "\n        return ;;\n";
  }
  return "        if (( CURRENT == 2 )); then\n        local -a actions\n        actions=(\n" +
         zsh_descriptions(actions) +
         "        )\n        _describe 'action' actions\n"
         "        else\n        case $words[2] in\n" +
         cases + "        esac\n        fi\n";
}

std::string zsh_script(const CLI::App& app) {
  std::string cases;
  for (const CLI::App* subcommand : subcommands_of(app)) {
    cases += "      " + subcommand->get_name() + ")\n" + zsh_actions(*subcommand) + "        " +
             zsh_arguments(*subcommand) + " ;;\n";
  }
  return "#compdef sora\n"
         "_sora() {\n"
         "  local -a commands\n"
         "  commands=(\n" +
         zsh_descriptions(subcommands_of(app)) +
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

// The lines of the command's options, offered where `condition` holds.
std::string fish_options(const CLI::App& command, const std::string& condition) {
  std::string lines;
  for (const CLI::Option* option : options_of(command)) {
    if (option->get_lnames().empty() && option->get_snames().empty()) continue;
    lines += "complete -c sora -n '" + condition + "'";
    for (const std::string& name : option->get_snames()) lines += " -s " + name;
    for (const std::string& name : option->get_lnames()) lines += " -l " + name;
    if (takes_value(*option)) lines += completes_file(*option) ? " -r -F" : " -x";
    if (completes_folder(*option)) lines += " -a \"(__fish_complete_directories)\"";
    lines += " -d " + single_quoted(option->get_description()) + "\n";
  }
  return lines;
}

std::string fish_script(const CLI::App& app) {
  std::string script = "# fish completion for sora\n";
  for (const CLI::App* subcommand : subcommands_of(app)) {
    const std::string name = subcommand->get_name(), chosen = "__fish_seen_subcommand_from " + name;
    script += "complete -c sora -n __fish_use_subcommand -f -a " + name + " -d " +
              single_quoted(subcommand->get_description()) + "\n";
    const std::vector<const CLI::App*> actions = subcommands_of(*subcommand);
    const std::string among = "__fish_seen_subcommand_from " + join(names_of(actions), " ");
    for (const CLI::App* action : actions) {
      script += "complete -c sora -n '" + chosen + "; and not " + among + "' -a " +
                action->get_name() + " -d " + single_quoted(action->get_description()) + "\n";
      script +=
          fish_options(*action, chosen + "; and __fish_seen_subcommand_from " + action->get_name());
    }
    script += fish_options(*subcommand, actions.empty() ? chosen : chosen + "; and not " + among);
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
