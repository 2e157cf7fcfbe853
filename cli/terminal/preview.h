// --preview and --preview-file: the clip forming, on the terminal above the progress bar and in a
// small file.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/terminal/progress.h"
#include "lib/sora.h"

namespace sora::cli {

void add_preview_options(CLI::App& app, PreviewWish& preview);

// Tells the engine what to show of the clips that it makes from now on. Both must outlive the
// preview.
void begin_preview(const PreviewWish& wish, bool force, Engine& engine, ProgressDisplay& progress);

}  // namespace sora::cli
