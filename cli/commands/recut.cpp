// sora recut: parts of a clip are kept, moved along a new timeline, and the rest is drawn.
#include "cli/commands/subcommands.h"
#include "cli/commands/tool.h"

namespace sora::cli {

void add_recut(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ToolOptions<RecutRequest>>();
  CLI::App* cmd =
      begin_tool(app, options, "Keep parts of a video, move them, and draw the rest",
                 "  sora recut clip.mp4 --drop 1.5-2.5\n"
                 "  sora recut clip.mp4 --keep 0-1.5 --keep 2.5-4\n"
                 "  sora recut clip.mp4 --keep 0-1.5 --at 0 --keep 2.5-4 --at 3 --duration 6");
  add_parsed_list(*cmd, "--keep", options->tool.keep,
                  "Range that is kept, in seconds, such as 0-1.5; may be given again", "FROM-TO",
                  parse_time_range);
  add_parsed_list(*cmd, "--at", options->tool.at_s,
                  "Where on the new timeline the kept range begins; one for each --keep", "SECONDS",
                  parse_seconds);
  add_parsed_list(*cmd, "--drop", options->tool.drop,
                  "Range that is drawn anew, all else is kept; may be given again", "FROM-TO",
                  parse_time_range);
  add_parsed(*cmd, "-d,--duration", options->tool.duration_s, "Length of the new timeline",
             "SECONDS", parse_seconds);
  finish_tool(cmd, options, chosen);
}

}  // namespace sora::cli
