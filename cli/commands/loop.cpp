// sora loop: a bridge from a clip's end back to its beginning.
#include "cli/commands/subcommands.h"
#include "cli/commands/tool.h"

namespace sora::cli {

void add_loop(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ToolOptions<LoopRequest>>();
  CLI::App* cmd = begin_tool(app, options, "Make a video run back into its beginning",
                             "  sora loop clip.mp4\n"
                             "  sora loop clip.mp4 --from 0.5 --to 3 --length normal");
  add_parsed(*cmd, "--from", options->tool.from_s, "Beginning of the section that is looped",
             "SECONDS", parse_seconds);
  add_parsed(*cmd, "--to", options->tool.to_s, "Its end", "SECONDS", parse_seconds);
  cmd->add_option("--length", options->tool.length,
                  "Length of the bridge: short, normal or long, which are 2, 4 and 6 s")
      ->type_name("NAME")
      ->capture_default_str();
  finish_tool(cmd, options, chosen);
}

}  // namespace sora::cli
