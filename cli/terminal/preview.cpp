#include "cli/terminal/preview.h"

#include <unistd.h>

#include <algorithm>

#include "cli/terminal/terminal_form.h"

namespace sora::cli {
namespace {

constexpr int kMaxRows = 14;
constexpr int64_t kMaxPictures = 3;  // beside one another

// A few frames, evenly over the clip, in one picture.
Pictures strip_of(const Pictures& frames) {
  const int64_t shown = std::min(kMaxPictures, frames.num_frames);
  const int64_t row = frames.width * 3;
  Pictures strip{1, frames.height, frames.width * shown, 0, {}};
  strip.rgb.resize(static_cast<size_t>(strip.height * strip.width * 3));
  for (int64_t i = 0; i < shown; ++i) {
    const uint8_t* frame = frames.frame(shown == 1 ? 0 : i * (frames.num_frames - 1) / (shown - 1));
    for (int64_t y = 0; y < frames.height; ++y)
      std::copy_n(frame + y * row, row, strip.rgb.begin() + y * row * shown + i * row);
  }
  return strip;
}

}  // namespace

void add_preview_options(CLI::App& app, PreviewWish& preview) {
  const std::string group = "Display";
  app.add_flag("--preview", preview.on_terminal,
               "Show the clip forming, on a terminal, above the progress bar")
      ->group(group);
  app.add_option(
         "--preview-file", preview.file,
         "Show the clip forming in this small file, renewed meanwhile: .webp, .gif, .apng, or .png")
      ->type_name("FILE")
      ->group(group);
}

void begin_preview(const PreviewWish& wish, bool force, Engine& engine, ProgressDisplay& progress) {
  PreviewSpec spec;
  spec.path = wish.file;
  spec.force = force;
  if (wish.on_terminal) {
    const std::optional<TerminalForm> form =
        progress.has_bar() ? ask_terminal(STDERR_FILENO) : std::nullopt;
    if (form) {
      progress.begin_pictures(*form);
      spec.show = [&engine, &progress, form = *form](const Pictures& frames) {
        const int max_rows = std::clamp(form.rows - 4, 1, kMaxRows);
        progress.show_picture(
            engine.draw(strip_of(frames), 0, form, std::max(1, form.columns - 1), max_rows));
      };
    } else {
      progress.notice(
          "--preview draws beside a progress bar on a terminal, and there is none here; "
          "--preview-file writes a small file");
    }
  }
  if (spec.is_wanted()) engine.set_preview(spec);
}

}  // namespace sora::cli
