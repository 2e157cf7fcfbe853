// sora blend: two clips in one.
#include <filesystem>

#include "cli/commands/subcommands.h"
#include "cli/commands/tool.h"
#include "lib/core/error.h"
#include "lib/core/json_file.h"

namespace sora::cli {
namespace {

// A curve on the command line, or a file that holds one.
Curve read_curve(const std::string& text) {
  if (std::filesystem::is_regular_file(text)) return parse_curve(read_file(text));
  if (text.find(':') == std::string::npos) {
    fail(ErrorKind::NotFound, "--curve {}: there is no such file; a curve is written 0:0,0.5:1,1:0",
         text);
  }
  return parse_curve(text);
}

}  // namespace

void add_blend(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ToolOptions<BlendRequest>>();
  CLI::App* cmd = begin_tool(app, options, "Join two videos, or mix them",
                             "  sora blend a.mp4 b.mp4\n"
                             "  sora blend a.mp4 b.mp4 --mode mix --curve 0:0,0.5:1,1:0\n"
                             "  sora blend a.mp4 b.mp4 --mode sample --strength strong");
  cmd->add_option("second", options->tool.second, "The second video")->type_name("FILE");
  cmd->add_option("--mode", options->tool.mode,
                  "transition: the first becomes the second; mix: both at once; sample: the first "
                  "with the second's look")
      ->type_name("NAME")
      ->capture_default_str();
  add_parsed(
      *cmd, "--curve", options->tool.curve,
      "Influence of the second over time, as position:influence of 0 to 1, or a file that holds it",
      "CURVE", read_curve);
  cmd->add_option("--strength", options->tool.strength,
                  "subtle, mild, strong or 0 to 1: how freely a mix is drawn")
      ->type_name("NAME")
      ->capture_default_str();
  add_parsed(*cmd, "-d,--duration", options->tool.duration_s, "Length of the result", "SECONDS",
             parse_seconds);
  finish_tool(cmd, options, chosen);
}

}  // namespace sora::cli
