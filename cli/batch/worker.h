// One of the processes of a batch: works on its jobs until there are none, and says nothing. A task
// of a cluster alone has its store, so what an earlier process left there is its own; what it says
// goes into its log.
#pragma once

#include "cli/command.h"

namespace sora::cli {

// How a worker process is told that it may make any job of the journal.
inline constexpr const char* kAnyBatch = "*";

// Ends the process with the exit code of a failed or stopped batch.
void run_as_worker(const RunBatch& batch, const Display& display);

}  // namespace sora::cli
