// Carries out the two actions of sora batch.
#pragma once

#include "cli/command.h"

namespace sora::cli {

// Throws Error(BatchFailed) where jobs failed, Error(Stopped) after SIGTERM, Error(Cancelled) after
// Ctrl-C, Error(Usage | NotFound | Input) with a fault in the file, before anything is made.
void run_action(const RunBatch& batch, const Display& display);
void run_action(const ShowBatch& show, const Display& display);

}  // namespace sora::cli
