// sora info: what a media file holds and how it was made; without a file, what this program runs
// on.
#include "cli/commands/subcommands.h"
#include "cli/options.h"

namespace sora::cli {
namespace {

struct InfoOptions {
  ShowInfo show;
  Display display;
};

}  // namespace

void add_info(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App* cmd = app.add_subcommand("info", "Show how a clip was made, or the versions in use");
  cmd->footer("Examples:\n  sora info clip.mp4\n  sora info clip.mp4 --json\n  sora info");
  cmd->add_option("file", options->show.path, "Video or image; without it, versions and devices")
      ->type_name("FILE");
  add_display_options(*cmd, options->display);
  cmd->final_callback([options, &chosen] {
    chosen.action = options->show;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
