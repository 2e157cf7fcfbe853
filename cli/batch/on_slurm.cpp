// Whether an array is at its end is for Slurm to say, what came of its jobs for the stores of its
// tasks; Slurm's accounting, which not every site has, is not asked.
#include "cli/batch/on_slurm.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <mutex>
#include <thread>

#include "lib/core/error.h"
#include "lib/core/file_lock.h"
#include "lib/jobs/credit_plan.h"

namespace sora::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kDefaultTasks = 8;
constexpr int kMaxIdleRounds = 3;
// The controller of a large site is asked rarely once a batch takes long.
constexpr auto kFirstPoll = std::chrono::milliseconds(1000);
constexpr auto kLongestPoll = std::chrono::milliseconds(30'000);
constexpr auto kTick = std::chrono::milliseconds(200);

// One command at a time looks at arrays and makes them, so that none is taken for gone before it
// was handed in.
FileLock cluster_turn(const OutputFolder& folder) {
  const fs::path place = folder.root() / ".sora" / "slurm";
  fs::create_directories(place);
  return FileLock(place / "turn");
}

}  // namespace

SlurmBatch::SlurmBatch(const RunBatch& batch, const std::string& name, JobStore& journal,
                       const OutputFolder& folder, JobCredits& credits)
    : batch_(batch), name_(name), journal_(journal), folder_(folder), credits_(credits) {}

void SlurmBatch::look_at_earlier() {
  if (LentJobs::all(folder_).empty()) return;
  FileLock turn = cluster_turn(folder_);
  const std::lock_guard held(turn);
  lent_ = LentJobs::all(folder_);
  collect(nullptr);
}

int64_t SlurmBatch::num_lent() const {
  int64_t count = 0;
  for (const LentJobs& lent : lent_) {
    const JobCounts counts = lent.counts();
    count += counts.pending + counts.running;
  }
  return count;
}

bool SlurmBatch::is_active(const LentJobs& lent, BatchDisplay* shown) {
  if (shown == nullptr) return is_in_slurm(lent.name());
  try {
    return is_in_slurm(lent.name());
  } catch (const Error& error) {  // a controller that is away for a while comes back
    if (told_trouble_ != error.what()) shown->notice(error.what());
    told_trouble_ = error.what();
    return true;
  }
}

void SlurmBatch::collect(BatchDisplay* shown) {
  std::vector<LentJobs> active;
  for (LentJobs& lent : lent_) {
    const bool is_at_end =
        !is_active(lent, shown);  // asked first: what comes after it is all there is
    lent.collect(journal_);
    if (is_at_end) {
      lent.take_back(journal_, folder_, batch_.force, credits_);
    } else {
      active.push_back(std::move(lent));
    }
  }
  lent_ = std::move(active);
  if (shown == nullptr) return;
  for (const Job& job : journal_.finished_after(name_, told_)) {  // whoever collected them
    told_ = job.finish_number;
    shown->job_ended(job);
  }
}

SlurmArray SlurmBatch::array_of(const LentJobs& lent) const {
  SlurmArray array;
  array.name = lent.name();
  array.num_tasks = lent.num_tasks();
  array.log_folder = lent.folder();
  array.wishes = batch_.slurm;
  array.command = {fs::read_symlink("/proc/self/exe").string(),
                   "batch",
                   "--worker-of",
                   "*",
                   "-o",
                   folder_.root().string(),
                   "--progress",
                   "plain"};
  if (batch_.keep_going) array.command.push_back("--keep-going");
  if (batch_.force) array.command.push_back("--force");
  const CreditPlan plan = load_plan(batch_.plan);
  if (plan.has_limits()) array.command.insert(array.command.end(), {"--plan", plan.reference()});
  array.command.push_back("--store");
  array.command.push_back(lent.folder().string() + "/");
  array.command.push_back(".sqlite");
  return array;
}

std::optional<std::string> SlurmBatch::submit() {
  if (journal_.counts({.batch = name_}).pending == 0) return std::nullopt;
  const int max_tasks = max_slurm_tasks();
  const int wanted = batch_.processes > 1 ? batch_.processes : kDefaultTasks;
  FileLock turn = cluster_turn(folder_);
  const std::lock_guard held(turn);
  std::optional<LentJobs> lent =
      LentJobs::lend(journal_, folder_, name_, std::min(wanted, max_tasks));
  if (!lent) return std::nullopt;
  const fs::path script = lent->folder() / "array.sh";
  last_logs_ = lent->folder().string();
  try {
    std::ofstream file(script);
    file << slurm_script(array_of(*lent));
    file.close();
    if (!file) fail(ErrorKind::Io, "{} cannot be written", script.string());
    const std::string number = submit_to_slurm(script);
    lent_.push_back(std::move(*lent));
    return number;
  } catch (const Error&) {
    lent->take_back(journal_, folder_, false, credits_);
    throw;
  }
}

std::vector<Job> SlurmBatch::under_way() const {
  std::vector<Job> jobs;
  for (const LentJobs& lent : lent_) {
    for (auto& [id, job] : lent.under_way()) jobs.push_back(std::move(job));
  }
  return jobs;
}

bool SlurmBatch::wait_for_arrays(BatchDisplay& shown) {
  bool is_cancelled = false;
  auto pause = kFirstPoll;
  for (;;) {
    std::vector<Job> jobs;
    if (shown.shows_under_way()) jobs = under_way();
    {
      FileLock turn = cluster_turn(folder_);
      const std::lock_guard held(turn);
      collect(&shown);
    }
    if (shown.shows_under_way()) shown.under_way(jobs);
    if (lent_.empty()) return true;
    if (!batch_.keep_going && !is_cancelled && journal_.counts({.batch = name_}).failed > 0) {
      for (const LentJobs& lent : lent_) cancel_in_slurm(lent.name());
      is_cancelled = true;
    }
    for (auto waited = kTick; waited < pause; waited += kTick) {
      if (shown.stop_requested()) return false;
      std::this_thread::sleep_for(kTick);
    }
    pause = std::min(pause * 3 / 2, kLongestPoll);
  }
}

WorkerEnd SlurmBatch::follow(BatchDisplay& shown) {
  int idle_rounds = 0;
  told_ = journal_.last_finish_number();
  for (;;) {
    const int64_t last_end = journal_.last_finish_number();
    if (const std::optional<std::string> number = submit()) {
      shown.say(fmt::format("Slurm has array {} with {} tasks", *number, lent_.back().num_tasks()));
    }
    if (!wait_for_arrays(shown)) return WorkerEnd::Stopped;
    const JobCounts counts = journal_.counts({.batch = name_});
    if (counts.failed > 0 && !batch_.keep_going) return WorkerEnd::Failed;
    if (counts.pending == 0) return WorkerEnd::Finished;
    idle_rounds = journal_.last_finish_number() == last_end ? idle_rounds + 1 : 0;
    if (idle_rounds >= kMaxIdleRounds) {
      fail(ErrorKind::Io, "{} arrays in a row ended without finishing a job; see the logs in {}",
           kMaxIdleRounds, last_logs_);
    }
  }
}

}  // namespace sora::cli
