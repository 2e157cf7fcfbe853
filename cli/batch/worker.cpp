#include "cli/batch/worker.h"

#include <unistd.h>

#include <filesystem>

#include "cli/batch/display.h"
#include "cli/engine_maker.h"
#include "cli/signals.h"
#include "lib/core/error.h"
#include "lib/jobs/job_store.h"
#include "lib/jobs/output_folder.h"
#include "lib/jobs/worker.h"

namespace sora::cli {

void run_as_worker(const RunBatch& batch, const Display& display) {
  class Silent : public WorkerDisplay {
    bool stop_requested() const override { return stop_signalled(); }
  } silent;
  const OutputFolder folder(batch.folder);
  const bool is_task = !batch.store.empty();
  if (is_task && !std::filesystem::exists(batch.store))
    fail(ErrorKind::NotFound, "{} is gone; its jobs were taken back", batch.store);
  JobStore store(is_task ? std::filesystem::path(batch.store) : folder.journal());
  const JobCounts counts = store.counts({});
  BatchDisplay log(display, folder.root(), counts.total(), counts.done);
  WorkerDisplay& shown = is_task ? static_cast<WorkerDisplay&>(log) : silent;
  EngineMaker maker(store.path(), batch.plan);
  if (is_task)
    recover(store, folder, shown, batch.force, JobStore::Losses::Forgiven,
            JobStore::Recover::AllLeases, &maker);
  WorkerOptions options;
  options.batch = batch.worker_of == kAnyBatch ? "" : batch.worker_of;
  options.keep_going = batch.keep_going;
  options.force = batch.force;
  options.wait_for_more = [&] {
    return !stop_signalled() && (batch.watch || store.counts({.batch = options.batch}).pending > 0);
  };
  options.stop_now = [] { ::_exit(exit_code(ErrorKind::Stopped)); };
  options.credits = &maker;
  const WorkerEnd end = work(store, folder, maker, shown, options);
  if (end == WorkerEnd::Failed)
    ::_exit(exit_code(ErrorKind::BatchFailed));  // the first process tells
  if (end == WorkerEnd::Stopped) ::_exit(exit_code(ErrorKind::Stopped));
}

}  // namespace sora::cli
