// sora batch --dry-run: what a run would make, or what it would refuse.
#pragma once

#include "cli/batch/jobs.h"
#include "cli/command.h"
#include "cli/engine_maker.h"

namespace sora::cli {

// Prints the plan, or fails with all faults, as the run would. A journal that is there is looked
// at; neither it nor its folder is made.
void plan_only(const RunBatch& batch, JobList list, EngineMaker& maker, const Display& display);

}  // namespace sora::cli
