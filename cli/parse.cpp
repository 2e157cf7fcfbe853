#include "cli/parse.h"

#include <algorithm>
#include <string_view>

#include "cli/commands/subcommands.h"
#include "cli/description/app_walk.h"
#include "cli/description/self_description.h"
#include "cli/parse_fault.h"
#include "cli/whole_numbers.h"
#include "lib/core/error.h"
#include "sora/build_config.h"

namespace sora::cli {
namespace {

// The innermost one: "export" of sora explore export.
const CLI::App* called_subcommand(const CLI::App& app) {
  const CLI::App* innermost = nullptr;
  for (std::vector<CLI::App*> called = app.get_subcommands(); !called.empty();
       called = innermost->get_subcommands()) {
    innermost = called.front();
  }
  return innermost;
}

// The names before a subcommand's own: "sora explore".
std::string names_before(const CLI::App& subcommand) {
  const CLI::App* parent = subcommand.get_parent();
  return parent->get_parent() == nullptr ? parent->get_name()
                                         : names_before(*parent) + " " + parent->get_name();
}

// Values that name something, none of which has an empty name; a text may be empty.
constexpr std::string_view kNamedTypes[] = {"FILE",  "DIR",  "FOLDER", "PATH",
                                            "MODEL", "NAME", "PLAN"};

void check_no_name_is_empty(const CLI::App& subcommand) {
  for (const CLI::Option* option : subcommand.get_options()) {
    const std::string type = option->get_type_name();
    const std::vector<std::string>& values = option->results();
    const bool is_name =
        std::find(std::begin(kNamedTypes), std::end(kNamedTypes), type) != std::end(kNamedTypes);
    if (is_name && std::find(values.begin(), values.end(), "") != values.end()) {
      fail(ErrorKind::Usage, "{} is empty; write {} {}, or leave it out", option->get_name(),
           flags_of(*option).empty() ? "a" : option->get_name(), type);
    }
  }
}

}  // namespace

std::unique_ptr<CLI::App> make_app(Command& chosen) {
  auto app =
      std::make_unique<CLI::App>("Make videos from text and images, on this machine", "sora");
  app->footer(
      "Examples:\n"
      "  sora generate \"a red ball bounces on the meadow\"\n"
      "  sora extend clip.mp4 --by 3s\n"
      "  sora info clip.mp4\n"
      "  sora generate --help");
  app->set_version_flag("--version", std::string("sora ") + kVersion, "Show the version");
  app->require_subcommand(0, 1);
  for (const AddSubcommand add : kSubcommands) add(*app, chosen);
  add_self_description(*app, chosen);
  read_in_base_10(*app);
  return app;
}

Command parse(const std::vector<std::string>& arguments) {
  Command chosen{PrintText{}, {}};
  const std::unique_ptr<CLI::App> app = make_app(chosen);
  try {
    app->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    const CLI::App* subcommand = called_subcommand(*app);
    return {PrintText{subcommand != nullptr ? subcommand->help(names_before(*subcommand))
                                            : app->help()},
            {}};
  } catch (const CLI::CallForVersion& version) {
    return {PrintText{std::string(version.what()) + "\n"}, {}};
  } catch (const CLI::ParseError& error) {
    const CLI::App* subcommand = called_subcommand(*app);
    fail_to_parse(error, subcommand != nullptr ? *subcommand : *app);
  }
  if (const CLI::App* subcommand = called_subcommand(*app)) check_no_name_is_empty(*subcommand);
  if (arguments.empty()) return {PrintText{app->help()}, {}};
  return chosen;
}

}  // namespace sora::cli
