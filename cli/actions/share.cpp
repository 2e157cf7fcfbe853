#include "cli/actions/share.h"

#include <fmt/format.h>

#include <memory>

#include "cli/actions/actions.h"
#include "cli/engine_library.h"
#include "cli/options.h"
#include "cli/results.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"

namespace sora::cli {
namespace {

template <typename Task>
struct ShareOptions {
  Task task;
  Display display;
};

template <typename Task>
CLI::App* begin_sharing(CLI::App& parent, const std::shared_ptr<ShareOptions<Task>>& options,
                        const std::string& name, const std::string& description,
                        const std::string& examples) {
  CLI::App* cmd = parent.add_subcommand(name, description);
  cmd->footer("Examples:\n" + examples);
  add_display_options(*cmd, options->display);
  return cmd;
}

template <typename Task>
void finish_sharing(CLI::App* cmd, const std::shared_ptr<ShareOptions<Task>>& options,
                    Command& chosen) {
  cmd->final_callback([options, &chosen] {
    chosen.action = ShareFiles{options->task};
    chosen.display = options->display;
  });
}

template <typename Task>
void add_output(CLI::App* cmd, Task& task) {
  cmd->add_option("-o,--output", task.output,
                  "Archive to write; named after what it holds where not given")
      ->type_name("FILE");
  cmd->add_flag("-f,--force", task.force, "Overwrite the archive if it exists");
}

}  // namespace

void add_clip_sharing(CLI::App& explore, Command& chosen) {
  auto packed = std::make_shared<ShareOptions<ExportClip>>();
  CLI::App* pack = begin_sharing(
      explore, packed, "export",
      "Pack a clip with its recipe, storyboard, preset and thumbnails of its sources",
      "  sora explore export gallery:cba41c77cf7a -o ball.sora\n  sora explore export ball.mp4");
  pack->add_option("clip", packed->task.clip, "A clip's ID, or its file")
      ->type_name("ID")
      ->required();
  add_output(pack, packed->task);
  finish_sharing(pack, packed, chosen);

  auto taken = std::make_shared<ShareOptions<ImportClip>>();
  CLI::App* take = begin_sharing(
      explore, taken, "import",
      "Take such an archive into a library of clips, after checking all of it",
      "  sora explore import ball.sora\n  sora explore import ball.sora --library shared");
  take->add_option("archive", taken->task.archive, "The archive")->type_name("FILE")->required();
  take->add_option("--library", taken->task.library,
                   "Folder that takes the clip; sora/library below the user's data where not given")
      ->type_name("DIR");
  finish_sharing(take, taken, chosen);
}

void add_preset_sharing(CLI::App& presets, Command& chosen) {
  auto packed = std::make_shared<ShareOptions<ExportPreset>>();
  CLI::App* pack = begin_sharing(presets, packed, "export", "Pack a preset into an archive",
                                 "  sora presets export papercraft -o papercraft.sora");
  pack->add_option("name", packed->task.name, "The preset")->type_name("NAME")->required();
  add_output(pack, packed->task);
  finish_sharing(pack, packed, chosen);

  auto taken = std::make_shared<ShareOptions<ImportPresets>>();
  CLI::App* take =
      begin_sharing(presets, taken, "import", "Put the presets of an archive among your own",
                    "  sora presets import papercraft.sora");
  take->add_option("archive", taken->task.archive, "The archive")->type_name("FILE")->required();
  take->add_flag("-f,--force", taken->task.force, "Replace presets of the same name");
  finish_sharing(take, taken, chosen);
}

void run_action(const ShareFiles& share, const Display& display) {
  const std::unique_ptr<Engine> engine = load_engine();
  ProgressDisplay progress(display);
  nlohmann::json result = engine->share(share.task, progress);
  progress.clear();
  if (display.json) {
    result["schema"] = 1;
    return write_json(result);
  }
  if (!display.quiet && result.contains("id") && result.contains("new")) {
    tell("gallery:{} {}\n", result["id"].get<std::string>(),
         result["new"].get<bool>() ? "is in the library" : "was there already");
  }
  if (!display.quiet && result.contains("presets")) {
    for (const nlohmann::json& name : result["presets"])
      tell("--preset {} is yours now\n", printable(name.get<std::string>()));
  }
  if (result["path"].is_string()) write_result(printable(result["path"].get<std::string>()) + "\n");
}

}  // namespace sora::cli
