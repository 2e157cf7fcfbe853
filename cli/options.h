// The options that all tools share, declared once.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace sora::cli {

void add_video_options(CLI::App& app, VideoSpec& video);
void add_sampling_options(CLI::App& app, Sampling& sampling);
void add_runtime_options(CLI::App& app, Runtime& runtime);
void add_output_options(CLI::App& app, OutputSpec& output);
void add_display_options(CLI::App& app, Display& display);

}  // namespace sora::cli
