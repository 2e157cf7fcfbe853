// The jobs of a prompt file, checked one by one and then written into the journal together.
#pragma once

#include <string>
#include <vector>

#include "cli/batch/jobs.h"
#include "cli/batch/plan.h"
#include "cli/batch/running_batch.h"
#include "cli/command.h"
#include "cli/engine_maker.h"
#include "lib/jobs/job_store.h"
#include "lib/jobs/output_folder.h"

namespace sora::cli {

// What jobs that the journal knows already come to: one that is done stays so, one that failed is
// tried again, and with --force all are made again; or none is touched, of a file that has grown.
enum class KnownJobs { MadeAgain, LeftAsTheyAre };

// What the batch lies among.
struct BatchPlace {
  std::string name;                      // of the batch in the journal
  JobStore* store = nullptr;             // null: there is no journal yet
  const OutputFolder* folder = nullptr;  // null: there is no folder yet
};

// What a batch comes to where it is run now.
struct BatchLook {
  PlanCheck check;             // of the jobs that are to be made; with its faults nothing is
  std::vector<NewJob> jobs;    // all, under the names that the journal has for those it knows
  std::vector<int64_t> again;  // known ones that are to be made once more
  int64_t num_skipped = 0;     // done already
  Quote quote;
};

// Each job that is to be made is planned by its model, its name must be free, and credits must
// suffice for all. Changes nothing.
BatchLook look_at(const RunBatch& batch, const BatchPlace& place, std::vector<PlannedJob> jobs,
                  EngineMaker& maker, KnownJobs known_jobs);

struct AddedJobs {
  std::vector<Fault> faults;  // with any the journal is as it was
  std::vector<Fault> notices;
  int64_t num_skipped = 0;  // done already
};

// Writes the jobs into the journal where look_at() finds no fault with them. Throws Error(Usage)
// where that would take jobs out of the batch which another process is to make.
AddedJobs add_jobs(const RunBatch& batch, const std::string& name, JobList list, JobStore& store,
                   const OutputFolder& folder, EngineMaker& maker, KnownJobs known_jobs,
                   RunningBatch& running);

// All jobs of the folder's batches made again where KnownJobs::MadeAgain says so, whatever file
// they came from.
AddedJobs retry_jobs(const RunBatch& batch, JobStore& store, const OutputFolder& folder,
                     EngineMaker& maker);

}  // namespace sora::cli
