// A batch whose pending jobs a Slurm cluster makes, as arrays of tasks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/batch/display.h"
#include "cli/command.h"
#include "lib/jobs/lent_jobs.h"
#include "lib/jobs/worker.h"

namespace sora::cli {

class SlurmBatch {
 public:
  // All must outlive it. `name`: the batch's in the journal; empty: all jobs.
  SlurmBatch(const RunBatch& batch, const std::string& name, JobStore& journal,
             const OutputFolder& folder, JobCredits& credits);

  // Brings what arrays of earlier commands have made into the journal, and takes back what those
  // that are gone have left. Throws Error(Io) where there are any and Slurm does not answer.
  void look_at_earlier();
  // How many jobs arrays still have.
  int64_t num_lent() const;

  // Hands the pending jobs in; what it printed: the array's number, or nothing where no job is
  // pending.
  std::optional<std::string> submit();
  // Hands in, and hands in again what was lost, until nothing is pending.
  WorkerEnd follow(BatchDisplay& shown);

 private:
  void collect(BatchDisplay* shown);
  std::vector<Job> under_way() const;
  bool wait_for_arrays(BatchDisplay& shown);
  bool is_active(const LentJobs& lent, BatchDisplay* shown);
  SlurmArray array_of(const LentJobs& lent) const;

  const RunBatch& batch_;
  const std::string& name_;
  JobStore& journal_;
  const OutputFolder& folder_;
  JobCredits& credits_;
  std::vector<LentJobs> lent_;
  int64_t told_ = 0;  // the finish number up to which jobs were shown
  std::string told_trouble_;
  std::string last_logs_;
};

}  // namespace sora::cli
