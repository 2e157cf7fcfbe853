// Carries out the actions of sora queue.
#pragma once

#include <filesystem>

#include "cli/command.h"

namespace sora::cli {

// $SORA_QUEUE, $XDG_DATA_HOME/sora/queue or ~/.local/share/sora/queue, where `wish` is empty.
// Throws Error(Usage) where none of them is set.
std::filesystem::path queue_folder(const std::string& wish);

// Throws Error(NotFound) for a job that there is not, Error(BatchFailed) where jobs of a run
// failed, Error(Stopped) after SIGTERM.
void run_action(const UseQueue& use, const Display& display);

}  // namespace sora::cli
