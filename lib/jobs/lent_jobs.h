// Jobs of a batch that the tasks of a cluster's array make. Each task has a store of its own, which
// it alone writes, so that no locks are needed between machines; in the batch's journal its jobs
// are running, lent to the array, until what came of them is collected.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/jobs/job_store.h"
#include "lib/jobs/output_folder.h"
#include "lib/jobs/worker.h"

namespace sora {

class LentJobs {
 public:
  // Deals the pending jobs of a batch (empty: of all) out to at most `max_tasks` stores; nothing
  // where none is pending.
  static std::optional<LentJobs> lend(JobStore& journal, const OutputFolder& folder,
                                      const std::string& batch, int max_tasks);
  // All that were lent and have not been returned.
  static std::vector<LentJobs> all(const OutputFolder& folder);

  const std::string& name() const { return name_; }  // also of the array: "sora-1f2e3d4c"
  const std::filesystem::path& folder() const { return folder_; }
  int num_tasks() const;
  JobCounts counts() const;
  std::filesystem::path store_of(int task) const;

  // Brings into the journal what has ended since, and returns it, in the order of the ends.
  std::vector<Job> collect(JobStore& journal);
  // How far the tasks are with a job that has not ended.
  std::map<int64_t, Job> under_way() const;
  // When no task of the array is left: what was made gets its name, what was not is pending again.
  // A job that has lost its process more than kMaxLosses times has failed. Credits of what was made
  // are settled, what the others had set aside comes back. Returns what collect() would.
  std::vector<Job> take_back(JobStore& journal, const OutputFolder& folder, bool force,
                             JobCredits& credits);

 private:
  explicit LentJobs(std::filesystem::path folder);

  std::string name_;
  std::filesystem::path folder_;
  // By task: the finish number up to which its jobs were collected.
  std::map<int, int64_t> collected_;
};

}  // namespace sora
