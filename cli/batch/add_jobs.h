// The jobs of a prompt file, checked one by one and then written into the journal together.
#pragma once

#include <string>
#include <vector>

#include "cli/batch/jobs.h"
#include "cli/command.h"
#include "cli/engine_maker.h"
#include "lib/jobs/job_store.h"
#include "lib/jobs/output_folder.h"

namespace sora::cli {

struct AddedJobs {
  std::vector<Fault> faults;  // with any the journal is as it was
  std::vector<Fault> notices;
  int64_t num_skipped = 0;  // done already
};

// What jobs that the journal knows already come to: one that is done stays so, one that failed is
// tried again, and with --force all are made again; or none is touched, of a file that has grown.
enum class KnownJobs { MadeAgain, LeftAsTheyAre };

// `name` is what the journal calls the batch. Each job is planned by its model, its name must be
// free, and credits must suffice for all.
AddedJobs add_jobs(const RunBatch& batch, const std::string& name, JobList list, JobStore& store,
                   const OutputFolder& folder, EngineMaker& maker, KnownJobs known_jobs);

// All jobs of the folder's batches made again where KnownJobs::MadeAgain says so, whatever file
// they came from.
AddedJobs retry_jobs(const RunBatch& batch, JobStore& store, const OutputFolder& folder,
                     EngineMaker& maker);

}  // namespace sora::cli
