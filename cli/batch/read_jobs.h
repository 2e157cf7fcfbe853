// The prompt file of a batch, read whole: the jobs of this machine's share.
#pragma once

#include <string>

#include "cli/batch/jobs.h"
#include "cli/command.h"

namespace sora::cli {

// What faults and the journal call the prompt file: its path as given, or "stdin".
std::string shown_file(const RunBatch& batch);

// With --watch without the last line, which may still grow. Throws Error(NotFound) where the file
// cannot be read, Error(Usage) for an unknown --format; faults of its lines are in the list.
JobList read_jobs(const RunBatch& batch);

}  // namespace sora::cli
