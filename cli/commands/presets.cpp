// sora presets: the styles that --preset takes.
#include <fmt/format.h>

#include "cli/actions/actions.h"
#include "cli/actions/share.h"
#include "cli/commands/subcommands.h"
#include "cli/engine_library.h"
#include "cli/options.h"
#include "cli/results.h"
#include "cli/terminal/terminal.h"

namespace sora::cli {

void add_presets(CLI::App& app, Command& chosen) {
  auto display = std::make_shared<Display>();
  CLI::App* cmd =
      app.add_subcommand("presets", "List the styles that --preset takes, pass them on");
  cmd->footer(
      "Examples:\n"
      "  sora presets\n"
      "  sora generate \"a fish swims\" --preset papercraft\n"
      "  sora presets export papercraft -o papercraft.sora");
  add_display_options(*cmd, *display);
  add_preset_sharing(*cmd, chosen);
  cmd->final_callback([display, cmd, &chosen] {
    if (!cmd->get_subcommands().empty()) return check_none_before_subcommand(*cmd);
    chosen.action = ListPresets{};
    chosen.display = *display;
  });
}

void run_action(const ListPresets&, const Display& display) {
  const nlohmann::json presets = load_engine()->presets();
  if (display.json) return write_json(presets);
  for (const nlohmann::json& preset : presets) {
    write_result(printable(fmt::format("{:<16} {}", preset["name"].get<std::string>(),
                                       preset["description"].get<std::string>())) +
                 "\n");
  }
}

}  // namespace sora::cli
