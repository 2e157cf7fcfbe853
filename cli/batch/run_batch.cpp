// One order of things: read the whole file, check every job against its model, write all jobs into
// the journal, and only then make clips.
#include <fmt/format.h>

#include <unistd.h>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>
#include <utility>

#include "cli/batch/actions.h"
#include "cli/batch/add_jobs.h"
#include "cli/batch/display.h"
#include "cli/batch/dry_run.h"
#include "cli/batch/on_slurm.h"
#include "cli/batch/plan.h"
#include "cli/batch/read_jobs.h"
#include "cli/batch/running_batch.h"
#include "cli/batch/worker.h"
#include "cli/batch/worker_processes.h"
#include "cli/engine_maker.h"
#include "cli/results.h"
#include "cli/signals.h"
#include "cli/terminal/preview.h"
#include "cli/terminal/terminal.h"
#include "lib/core/error.h"
#include "lib/jobs/job_store.h"
#include "lib/jobs/output_folder.h"

namespace sora::cli {
namespace {

namespace fs = std::filesystem;

constexpr auto kBatchPoll = std::chrono::milliseconds(200);
constexpr auto kWatchInterval = std::chrono::seconds(1);

// The file that shows the clip which a batch of the folder draws: the batch that goes on replaces
// it.
class OwnPreview {
 public:
  OwnPreview(const OutputFolder& folder, const PreviewWish& wish)
      : note_(folder.root() / ".sora" / "preview"),
        file_(wish.file.empty() ? "" : fs::weakly_canonical(fs::absolute(wish.file)).string()) {}

  bool is_there() const {
    std::ifstream file(note_, std::ios::binary);
    const std::string noted(std::istreambuf_iterator<char>(file), {});
    return !file_.empty() && noted == file_;
  }
  void note() const {
    if (!file_.empty()) std::ofstream(note_, std::ios::binary) << file_;
  }

 private:
  fs::path note_;
  std::string file_;
};

// A batch whose jobs are in the journal.
class BatchRun {
 public:
  // `name` is the batch's; empty: all of the folder.
  BatchRun(const RunBatch& batch, const std::string& name, const Display& display,
           EngineMaker& maker)
      : batch_(batch),
        display_(display),
        maker_(maker),
        name_(name),
        folder_(folder_of(batch)),
        store_(folder_.journal()),
        cluster_(batch, name_, store_, folder_, maker) {
    cluster_.look_at_earlier();
    std::set<std::string> names = {name_};
    if (name_.empty()) {
      for (const auto& [other, counts] : store_.counts_by_batch()) names.insert(other);
    }
    for (const std::string& each : names) running_.emplace_back(folder_, each);
  }

  // Faults are returned and leave the journal as it was.
  std::vector<Fault> add(JobList list) {
    return note(add_jobs(batch_, name_, std::move(list), store_, folder_, maker_,
                         KnownJobs::MadeAgain, running_.front()));
  }
  std::vector<Fault> resume_all() { return note(retry_jobs(batch_, store_, folder_, maker_)); }

  void run() {
    if (!batch_.on.empty() && !batch_.wait) return hand_in();
    if (batch_.on.empty() && cluster_.num_lent() > 0) {
      fail(ErrorKind::Usage,
           "{} jobs of this folder are with Slurm; follow them with --on slurm --wait, or end them "
           "with scancel",
           cluster_.num_lent());
    }
    const JobCounts before = store_.counts({.batch = name_});
    BatchDisplay shown(display_, folder_.root(), before.total(), num_skipped_);
    for (const Fault& notice : notices_) shown.say("note: " + to_string(notice));
    recover(store_, folder_, shown, batch_.force, JobStore::Losses::Forgiven,
            JobStore::Recover::DeadLeases, &maker_);
    const WorkerEnd end = !batch_.on.empty()      ? cluster_.follow(shown)
                          : batch_.processes == 1 ? run_here(shown)
                                                  : run_processes(shown);
    const JobCounts counts = store_.counts({.batch = name_});
    shown.summary(counts);
    if (end == WorkerEnd::Stopped || stop_signalled()) {
      if (!termination_signalled()) fail(ErrorKind::Cancelled, "interrupted");
      fail(ErrorKind::Stopped, "stopped with {} of {} jobs done; the same command{} goes on",
           counts.done, counts.total(), without_force());
    }
    if (counts.failed > 0) {
      fail(ErrorKind::BatchFailed, "{} of {} jobs failed; the same command{} tries them again",
           counts.failed, counts.total(), without_force());
    }
  }

 private:
  // With it all jobs would begin again.
  const char* without_force() const { return batch_.force ? " without --force" : ""; }

  std::vector<Fault> note(const AddedJobs& added) {
    if (!added.faults.empty()) return added.faults;
    num_skipped_ = added.num_skipped;
    notices_.insert(notices_.end(), added.notices.begin(), added.notices.end());
    return {};
  }

  // The array's number on stdout, as sbatch prints it.
  void hand_in() {
    WorkerDisplay silent;
    recover(store_, folder_, silent, batch_.force, JobStore::Losses::Forgiven,
            JobStore::Recover::DeadLeases, &maker_);
    const std::optional<std::string> number = cluster_.submit();
    if (display_.json) {
      nlohmann::json object = {{"schema", 1},
                               {"array", nullptr},
                               {"jobs_with_slurm", cluster_.num_lent()},
                               {"done", num_skipped_}};
      if (number) object["array"] = *number;
      return write_json(object);
    }
    if (number) return write_result(*number + "\n");
    if (!display_.quiet)
      tell("nothing to hand in: {} jobs are with Slurm already\n", cluster_.num_lent());
  }

  // True while jobs of this batch are not at their end: those that wait for another try, and those
  // of other processes.
  bool is_unfinished(BatchDisplay& shown) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_recovery_ > kWatchInterval) {
      last_recovery_ = now;
      recover(store_, folder_, shown, batch_.force, JobStore::Losses::Forgiven,
              JobStore::Recover::DeadLeases, &maker_);
      read_more(shown);
    }
    const JobCounts counts = store_.counts({.batch = name_});
    return counts.pending + counts.running > 0 || (batch_.watch && !shown.stop_requested());
  }

  // The file may have grown.
  void read_more(BatchDisplay& shown) {
    if (!batch_.watch) return;
    std::error_code error;
    const auto changed = fs::last_write_time(batch_.file, error);
    if (error || changed == last_change_) return;
    last_change_ = changed;
    try {
      const AddedJobs added = add_jobs(batch_, name_, read_jobs(batch_), store_, folder_, maker_,
                                       KnownJobs::LeftAsTheyAre, running_.front());
      show_faults(added.faults, display_);
    } catch (const Error&) {
      if (!stop_signalled()) throw;
    }
    shown.set_num_jobs(store_.counts({.batch = name_}).total());
  }

  WorkerEnd run_here(BatchDisplay& shown) {
    const OwnPreview preview(folder_, batch_.preview);
    begin_preview(batch_.preview, batch_.force || preview.is_there(), maker_.engine(),
                  shown.progress());
    preview.note();
    WorkerOptions options;
    options.batch = name_;
    options.keep_going = batch_.keep_going;
    options.force = batch_.force;
    options.wait_for_more = [&] { return is_unfinished(shown); };
    options.credits = &maker_;
    options.stop_now = [] { ::_exit(exit_code(ErrorKind::Stopped)); };
    return work(store_, folder_, maker_, shown, options);
  }

  WorkerEnd run_processes(BatchDisplay& shown) {
    std::vector<std::string> arguments = {
        "batch", "--worker-of",           name_.empty() ? kAnyBatch : name_,
        "-o",    folder_.root().string(), "--quiet"};
    if (batch_.keep_going) arguments.push_back("--keep-going");
    if (batch_.force) arguments.push_back("--force");
    if (batch_.watch) arguments.push_back("--watch");
    if (!batch_.plan.empty()) arguments.insert(arguments.end(), {"--plan", batch_.plan});
    // How many can be at work: those that are, and one for each job that waits.
    const auto useful = [&](int64_t num_running) -> int64_t {
      if (batch_.watch) return batch_.processes;
      const JobCounts counts = store_.counts({.batch = name_});
      if (counts.pending == 0) return 0;
      return std::min<int64_t>(batch_.processes,
                               counts.pending + std::min(counts.running, num_running));
    };
    int64_t told = store_.last_finish_number();
    WorkerProcesses workers(useful(0), arguments);
    WorkerDisplay unheard;  // what a recovery ends is told with the rest
    bool stopping = false;
    int worst_code = 0;
    for (;;) {
      if (shown.stop_requested() && !stopping) {
        stopping = true;
        workers.signal(SIGTERM);
      }
      bool lost = false;
      for (const WorkerProcesses::End& end : workers.collect()) {
        if (end.exit_code < 0 || end.exit_code == exit_code(ErrorKind::Stopped)) {
          lost = true;  // or stopped by someone else
        } else if (end.exit_code > 0) {
          worst_code = end.exit_code;
        }
      }
      if (lost)
        recover(store_, folder_, unheard, batch_.force, JobStore::Losses::Counted,
                JobStore::Recover::DeadLeases, &maker_);
      const bool shows_bars = shown.shows_under_way() && workers.num_running() > 0;
      std::vector<Job> under_way;
      if (shows_bars) {
        under_way = store_.list({.batch = name_, .state = JobState::Running});
        for (Job& job : store_.list({.batch = name_, .state = JobState::Made}))
          under_way.push_back(std::move(job));
      }
      for (const Job& job : store_.finished_after(name_, told)) {
        told = job.finish_number;
        shown.job_ended(job);
      }
      if (shows_bars) shown.under_way(under_way);
      const bool failed = worst_code != 0 && !stopping;
      if (failed) {
        stopping = true;
        workers.signal(SIGTERM);
      }
      if (workers.num_running() == 0) {
        if (stopping || !is_unfinished(shown)) break;
      }
      if (!stopping) workers.start_up_to(useful(workers.num_running()));
      if (!stopping && batch_.watch) is_unfinished(shown);
      std::this_thread::sleep_for(kBatchPoll);
    }
    if (worst_code == exit_code(ErrorKind::Io))
      fail(ErrorKind::Io, "a process could not write; see above");
    if (shown.stop_requested()) return WorkerEnd::Stopped;
    if (worst_code != 0 && worst_code != exit_code(ErrorKind::BatchFailed))
      fail(ErrorKind::Internal, "a process ended with exit code {}; see above", worst_code);
    return worst_code != 0 ? WorkerEnd::Failed : WorkerEnd::Finished;
  }

  const RunBatch& batch_;
  const Display& display_;
  EngineMaker& maker_;
  std::string name_;
  OutputFolder folder_;
  JobStore store_;
  SlurmBatch cluster_;
  std::vector<RunningBatch> running_;
  std::vector<Fault> notices_;
  int64_t num_skipped_ = 0;
  std::chrono::steady_clock::time_point last_recovery_;
  fs::file_time_type last_change_ = {};
};

}  // namespace

void run_action(const RunBatch& batch, const Display& display) {
  if (!batch.worker_of.empty()) return run_as_worker(batch, display);
  JobList list;
  if (!batch.file.empty()) list = read_jobs(batch);
  if (!batch.dry_run && !list.faults.empty() && list.jobs.empty())
    fail_with_faults(list.faults, display);
  EngineMaker maker(OutputFolder::journal_of(folder_of(batch)), batch.plan);
  if (batch.dry_run) return plan_only(batch, std::move(list), maker, display);

  if (!list.faults.empty()) {
    PlanCheck check(batch, maker, list.faults.front().file);
    for (const PlannedJob& planned : list.jobs) {
      check_not_signalled();
      check.check(planned);
    }
    fail_with_faults(list, check, display);
  }
  if (batch.file.empty()) journal_in(folder_of(batch));  // a typing error makes no folder
  BatchRun run(batch, batch.file.empty() ? "" : name_of(batch, list), display, maker);
  const std::vector<Fault> faults =
      batch.file.empty() ? run.resume_all() : run.add(std::move(list));
  if (!faults.empty()) fail_with_faults(faults, display);
  run.run();
}

}  // namespace sora::cli
