// One function a subcommand: it adds its options to the app and, when it was called, leaves a
// Command. A new subcommand is its own file and one row in the table below.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace sora::cli {

void add_generate(CLI::App& app, Command& chosen);
void add_batch(CLI::App& app, Command& chosen);
void add_queue(CLI::App& app, Command& chosen);
void add_extend(CLI::App& app, Command& chosen);
void add_recut(CLI::App& app, Command& chosen);
void add_loop(CLI::App& app, Command& chosen);
void add_remix(CLI::App& app, Command& chosen);
void add_blend(CLI::App& app, Command& chosen);
void add_presets(CLI::App& app, Command& chosen);
void add_show(CLI::App& app, Command& chosen);
void add_info(CLI::App& app, Command& chosen);
void add_models(CLI::App& app, Command& chosen);
void add_decode(CLI::App& app, Command& chosen);
void add_credits(CLI::App& app, Command& chosen);
void add_serve(CLI::App& app, Command& chosen);
void add_explore(CLI::App& app, Command& chosen);
void add_verify(CLI::App& app, Command& chosen);
void add_keys(CLI::App& app, Command& chosen);

using AddSubcommand = void (*)(CLI::App& app, Command& chosen);

inline constexpr AddSubcommand kSubcommands[] = {
    add_generate, add_extend, add_recut,  add_loop,    add_remix,   add_blend,
    add_batch,    add_queue,  add_serve,  add_credits, add_presets, add_show,
    add_info,     add_decode, add_models, add_explore, add_verify,  add_keys};

}  // namespace sora::cli
