// sora remix: a clip drawn again with another text.
#include "cli/commands/subcommands.h"
#include "cli/commands/tool.h"

namespace sora::cli {

void add_remix(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ToolOptions<RemixRequest>>();
  CLI::App* cmd = begin_tool(
      app, options, "Draw a video again with another text",
      "  sora remix clip.mp4 \"a blue ball bounces on the snow\"\n"
      "  sora remix clip.mp4 \"a star bounces\" --strength strong\n"
      "  sora remix clip.mp4 \"a blue ball\" --method flowalign --source-prompt \"a red ball\"");
  cmd->add_option("prompt", options->tool.prompt, "What the new clip shows")->type_name("TEXT");
  cmd->add_option("--strength", options->tool.strength,
                  "subtle, mild, strong or 0 to 1: how much noise the source is drawn from")
      ->type_name("NAME")
      ->capture_default_str();
  cmd->add_option("--method", options->tool.method, "sdedit, flowedit or flowalign")
      ->type_name("NAME")
      ->capture_default_str();
  cmd->add_option("--source-prompt", options->tool.source_prompt,
                  "What the source shows, for flowedit and flowalign")
      ->type_name("TEXT");
  cmd->add_option("--preset", options->tool.preset,
                  "Style said with the text; sora presets lists them")
      ->type_name("NAME");
  finish_tool(cmd, options, chosen);
}

}  // namespace sora::cli
