// What the subcommands that work on a video have in common: a source, a text, the shared options.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "cli/options.h"
#include "cli/terminal/preview.h"

namespace sora::cli {

template <typename Tool>
struct ToolOptions {
  MakeClips make;
  Tool tool;
  Display display;
};

// Adds a subcommand with its source as first argument; the caller adds what is its own, then calls
// finish_tool.
template <typename Tool>
CLI::App* begin_tool(CLI::App& app, const std::shared_ptr<ToolOptions<Tool>>& options,
                     const std::string& description, const std::string& examples) {
  CLI::App* cmd = app.add_subcommand(std::string(Tool::kName), description);
  cmd->footer("Examples:\n" + examples);
  cmd->add_option("input", options->tool.source, "Video of any kind; - reads it from stdin")
      ->type_name("FILE");
  return cmd;
}

template <typename Tool>
void finish_tool(CLI::App* cmd, const std::shared_ptr<ToolOptions<Tool>>& options,
                 Command& chosen) {
  if (!cmd->get_option_no_throw("prompt")) {
    cmd->add_option("-p,--prompt", options->tool.prompt,
                    "What is drawn; the text the source was made from where not given")
        ->type_name("TEXT");
  }
  add_source_options(*cmd, options->tool.fit);
  cmd->add_option("--variations", options->tool.variations,
                  "Number of clips, each with the next seed")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_flag("-n,--dry-run", options->make.dry_run,
                "Print what would be made, with time, memory and credits, and stop");
  add_size_options(*cmd, options->make.request.video);
  add_sampling_options(*cmd, options->make.request.sampling);
  add_runtime_options(*cmd, options->make.request.runtime);
  add_ranks_option(*cmd, options->make.ranks);
  add_output_options(*cmd, options->make.request.output);
  add_plan_option(*cmd, options->make.plan);
  add_display_options(*cmd, options->display);
  add_preview_options(*cmd, options->make.preview);
  cmd->final_callback([options, &chosen] {
    options->make.request.operation = options->tool;
    check(options->make.request);
    chosen.action = options->make;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
