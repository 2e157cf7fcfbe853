// sora show: clips and pictures on the terminal, or a contact sheet as a file.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "cli/actions/actions.h"
#include "cli/commands/subcommands.h"
#include "cli/engine_library.h"
#include "cli/options.h"
#include "cli/results.h"
#include "cli/signals.h"
#include "cli/terminal/picture_area.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"
#include "cli/terminal/terminal_form.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

constexpr int64_t kMaxColumns = 24;
constexpr int64_t kMaxCellWidth = 1920;
constexpr double kPlayRounds = 2;
constexpr size_t kMaxPlayed = 6;  // clips that are played beside one another

struct ShowOptions {
  ShowSheet show;
  Display display;
};

void play(const ShowSheet& show, const TerminalForm& form, Engine& engine, Observer& observer) {
  SheetRequest request = show.sheet;
  request.moving = true;
  const Pictures moving = engine.sheet(request, observer);
  if (moving.num_frames < 2) return;
  PictureArea area(stdout, form);
  const auto beat = std::chrono::duration<double>(1.0 / moving.fps);
  auto next = std::chrono::steady_clock::now();
  const auto num_beats = static_cast<int64_t>(kPlayRounds * static_cast<double>(moving.num_frames));
  for (int64_t i = 0; i < num_beats && !stop_signalled(); ++i) {
    area.show(engine.draw(moving, i % moving.num_frames, form, form.columns - 1,
                          std::max(1, form.rows - 3)));
    next += std::chrono::duration_cast<std::chrono::steady_clock::duration>(beat);
    std::this_thread::sleep_until(next);
    next = std::max(next, std::chrono::steady_clock::now() -
                              std::chrono::seconds(1));  // a slow terminal is not chased
  }
  area.erase();
}

}  // namespace

void add_show(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* cmd =
      app.add_subcommand("show", "Play clips on the terminal, or make a contact sheet of them");
  cmd->footer(
      "Examples:\n"
      "  sora show clip.mp4\n"
      "  sora show clips/*.mp4 --columns 6 -o sheet.png\n"
      "  sora show gallery:cba41c77cf7a --still");
  ShowSheet& show = options->show;
  cmd->add_option("files", show.sheet.paths, "Videos and pictures of any kind")->type_name("FILE");
  cmd->add_option("--columns", show.sheet.columns, "Pictures of each file, evenly over its length")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_option("--cell-width", show.sheet.cell_width, "Width of a picture in pixels")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_flag("--still", show.is_still, "Do not play the clips, only show the sheet");
  cmd->add_option("-o,--output", show.output,
                  "Write the sheet to this .png instead of the terminal")
      ->type_name("FILE");
  cmd->add_flag("-f,--force", show.force, "Overwrite the output if it exists");
  add_display_options(*cmd, options->display);
  cmd->final_callback([options, &chosen] {
    const ShowSheet& asked = options->show;
    if (asked.sheet.paths.empty())
      fail(ErrorKind::Usage, "show needs files; write sora show clip.mp4");
    if (asked.sheet.columns < 1 || asked.sheet.columns > kMaxColumns) {
      fail(ErrorKind::Usage, "--columns {} is out of range; it goes from 1 to {}",
           asked.sheet.columns, kMaxColumns);
    }
    if (asked.sheet.cell_width < kMinSide || asked.sheet.cell_width > kMaxCellWidth) {
      fail(ErrorKind::Usage, "--cell-width {} is out of range; it goes from {} to {}",
           asked.sheet.cell_width, kMinSide, kMaxCellWidth);
    }
    chosen.action = asked;
    chosen.display = options->display;
  });
}

void run_action(const ShowSheet& show, const Display& display) {
  std::optional<TerminalForm> form;
  if (show.output.empty()) {
    form = ask_terminal(STDOUT_FILENO);
    if (!form)
      fail(ErrorKind::Usage,
           "stdout is no terminal that shows pictures; give -o sheet.png to write the sheet");
  }
  const std::unique_ptr<Engine> engine = load_engine();
  ProgressDisplay progress(display);
  if (!form) {
    SheetRequest request = show.sheet;
    request.output = show.output;
    request.force = show.force;
    engine->write_sheet(engine->sheet(request, progress), show.output, show.force);
    progress.clear();
    if (display.json) return write_json({{"schema", 1}, {"path", show.output}});
    return write_result(show.output + "\n");
  }
  if (!show.is_still && show.sheet.paths.size() <= kMaxPlayed) play(show, *form, *engine, progress);
  for (const std::string& path : show.sheet.paths) {
    if (stop_signalled()) throw Error(ErrorKind::Cancelled, "interrupted");
    SheetRequest one = show.sheet;
    one.paths = {path};
    const Pictures sheet = engine->sheet(one, progress);
    write_result(printable(path) + "\n");
    PictureArea area(stdout, *form);
    area.show(engine->draw(sheet, 0, *form, form->columns - 1, std::max(1, form->rows - 3)));
  }
}

}  // namespace sora::cli
