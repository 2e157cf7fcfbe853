// sora verify: where a clip came from, by its manifest, its C2PA signature and its watermark.
#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

struct VerifyOptions {
  VerifyFile verify;
  Display display;
};

}  // namespace

void add_verify(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* cmd =
      app.add_subcommand("verify", "Tell where a clip came from, and whether it was changed since");
  cmd->footer(
      "Examples:\n  sora verify clip.mp4\n  sora verify clip.mp4 --json\n\n"
      "Exit codes: 0 there are traces and they agree, 3 they contradict each other or the file was "
      "changed, 4 there are none.");
  cmd->add_option("file", options->verify.path, "Video or image")->type_name("FILE");
  add_display_options(*cmd, options->display);
  cmd->final_callback([options, &chosen] {
    if (options->verify.path.empty())
      fail(ErrorKind::Usage, "verify needs a file; write sora verify clip.mp4");
    chosen.action = options->verify;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
