// sora explore: folders of clips as a gallery of web pages.
#include <memory>

#include "cli/actions/share.h"
#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

struct ExploreOptions {
  ExploreGallery explore;
  Display display;
};

}  // namespace

void add_explore(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ExploreOptions>();
  CLI::App* cmd = app.add_subcommand(
      "explore", "Make a gallery of clips: web pages that show how each was made");
  cmd->footer(
      "Examples:\n"
      "  sora explore clips\n"
      "  sora explore clips more/clips -o site --featured best.txt\n"
      "  sora explore clips --serve\n"
      "  sora explore export gallery:cba41c77cf7a -o ball.sora\n"
      "  sora explore import ball.sora");
  GalleryRequest& request = options->explore.request;
  cmd->add_option("folders", request.folders, "Folders with clips, in subfolders too")
      ->type_name("DIR");
  cmd->add_option("-o,--output", request.output,
                  "Folder of the gallery; one that is there is brought up to date")
      ->type_name("DIR")
      ->capture_default_str();
  cmd->add_option("--title", request.title, "Heading of the pages")
      ->type_name("TEXT")
      ->capture_default_str();
  cmd->add_option("--featured", request.featured,
                  "File of IDs, file names or paths, one a line, shown first")
      ->type_name("FILE");
  cmd->add_flag("--serve", options->explore.serve,
                "Serve the gallery on this machine and show new clips as they land");
  cmd->add_option("--port", options->explore.port, "Port of --serve; 0 takes a free one")
      ->type_name("N")
      ->capture_default_str();
  add_display_options(*cmd, options->display);
  add_clip_sharing(*cmd, chosen);
  cmd->final_callback([options, cmd, &chosen] {
    if (!cmd->get_subcommands().empty()) return check_none_before_subcommand(*cmd);
    if (options->explore.request.folders.empty()) {
      fail(ErrorKind::Usage, "explore needs folders with clips; write sora explore clips");
    }
    if (options->explore.port < 0 || options->explore.port > 65535) {
      fail(ErrorKind::Usage, "--port {} is out of range; it goes from 0 to 65535",
           options->explore.port);
    }
    options->explore.request.live = options->explore.serve;
    chosen.action = options->explore;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
