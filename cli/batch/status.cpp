// sora batch status: what the journal of a folder says of its jobs, those included that a cluster
// still has.
#include <fmt/format.h>

#include <map>

#include "cli/batch/actions.h"
#include "cli/batch/display.h"
#include "cli/batch/plan.h"
#include "cli/results.h"
#include "cli/terminal/terminal.h"
#include "lib/core/error.h"
#include "lib/jobs/job_store.h"
#include "lib/jobs/lent_jobs.h"

namespace sora::cli {

void run_action(const ShowBatch& show, const Display& display) {
  JobStore store(journal_in(show.folder));
  std::map<int64_t, Job> on_cluster;
  for (LentJobs& lent : LentJobs::all(OutputFolder(show.folder))) {
    lent.collect(store);
    on_cluster.merge(lent.under_way());
  }
  std::vector<Job> jobs = store.list({});
  for (Job& job : jobs) {
    if (const auto found = on_cluster.find(job.id); found != on_cluster.end()) job = found->second;
  }
  if (display.json) {
    for (const Job& job : jobs) write_json({{"job", to_json(job, show.folder)}});
    return write_json({{"summary", to_json(store.counts({}))}});
  }
  for (const Job& job : jobs) {
    std::string note;
    if (job.state == JobState::Running)
      note = fmt::format("{:.0f} % {}", job.progress * 100, job.phase);
    if (job.state == JobState::Failed || job.state == JobState::Pending) note = job.error;
    if (on_cluster.count(job.id) > 0) note += note.empty() ? "with Slurm" : ", with Slurm";
    write_result(printable(fmt::format("{:<9} {} ({}) {}", to_string(job.state), job.output,
                                       job.place, note)) +
                 "\n");
  }
  for (const auto& [name, counts] : store.counts_by_batch()) {
    write_result(printable(fmt::format("{}: {} of {} done, {} running, {} to do, {} failed", name,
                                       counts.done, counts.total(), counts.running, counts.pending,
                                       counts.failed)) +
                 "\n");
  }
}

}  // namespace sora::cli
