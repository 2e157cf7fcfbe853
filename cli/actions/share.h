// export and import, of clips below sora explore and of presets below sora presets.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace sora::cli {

void add_clip_sharing(CLI::App& explore, Command& chosen);
void add_preset_sharing(CLI::App& presets, Command& chosen);

}  // namespace sora::cli
