// sora extend: a clip goes on past either end.
#include "cli/commands/subcommands.h"
#include "cli/commands/tool.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

double parse_addition(const std::string& text) {
  const double seconds = parse_seconds(text);
  if (seconds == 0) fail(ErrorKind::Usage, "--by {} adds nothing; write such as --by 3s", text);
  return seconds;
}

}  // namespace

void add_extend(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ToolOptions<ExtendRequest>>();
  CLI::App* cmd =
      begin_tool(app, options, "Continue a video past either end",
                 "  sora extend clip.mp4 --by 3s\n"
                 "  sora extend clip.mp4 --by 1.5 --backward -o earlier.mp4\n"
                 "  sora extend clip.mp4 --by 2 --prompt \"a red ball bounces at night\"");
  add_parsed(*cmd, "--by", options->tool.by_s, "Seconds to add, such as 3 or 2.5s", "SECONDS",
             parse_addition);
  cmd->add_flag("--backward", options->tool.backward,
                "Add before the beginning instead of after the end");
  finish_tool(cmd, options, chosen);
}

}  // namespace sora::cli
