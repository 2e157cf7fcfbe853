// The folder .sora/slurm/NAME: 0.sqlite, 1.sqlite, ..., the script and the logs. It is there before
// any job is lent to its name, so that every job that is lent can be found, and taken back,
// whenever the program ends in between.
#include "lib/jobs/lent_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "lib/core/error.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStoreEnd = ".sqlite";

fs::path arrays_below(const OutputFolder& folder) { return folder.root() / ".sora" / "slurm"; }

void remove_stores(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().find(kStoreEnd) != std::string::npos)
      files.push_back(entry.path());
  }
  std::error_code ignored;
  for (const fs::path& file : files) fs::remove(file, ignored);
}

}  // namespace

LentJobs::LentJobs(fs::path folder)
    : name_(folder.filename().string()), folder_(std::move(folder)) {}

std::optional<LentJobs> LentJobs::lend(JobStore& journal, const OutputFolder& folder,
                                       const std::string& batch, int max_tasks) {
  if (journal.counts({.batch = batch}).pending == 0) return std::nullopt;
  LentJobs lent(arrays_below(folder) / fmt::format("sora-{:08x}", std::random_device()()));
  std::error_code error;
  fs::create_directories(lent.folder_, error);
  if (error)
    fail(ErrorKind::Io, "the folder {} cannot be made: {}", lent.folder_.string(), error.message());
  const std::vector<Job> jobs = journal.lend(batch, lent.name_);
  const auto num_tasks =
      static_cast<int>(std::min<size_t>(jobs.size(), static_cast<size_t>(max_tasks)));
  for (int task = 0; task < num_tasks; ++task) {
    std::vector<Job> share;
    for (size_t i = static_cast<size_t>(task); i < jobs.size(); i += static_cast<size_t>(num_tasks))
      share.push_back(jobs[i]);
    JobStore(lent.store_of(task), JournalMode::Rollback).adopt(share);
  }
  return lent;
}

std::vector<LentJobs> LentJobs::all(const OutputFolder& folder) {
  std::vector<LentJobs> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(arrays_below(folder), error)) {
    if (!entry.is_directory() || fs::exists(entry.path() / "ended")) continue;
    found.push_back(LentJobs(entry.path()));
  }
  return found;
}

fs::path LentJobs::store_of(int task) const {
  return folder_ / fmt::format("{}{}", task, kStoreEnd);
}

int LentJobs::num_tasks() const {
  int count = 0;
  while (fs::exists(store_of(count))) ++count;
  return count;
}

JobCounts LentJobs::counts() const {
  JobCounts sum;
  for (int task = 0; fs::exists(store_of(task)); ++task) {
    const JobCounts part = JobStore(store_of(task)).counts({});
    sum.pending += part.pending;
    sum.running += part.running;
    sum.done += part.done;
    sum.failed += part.failed;
    sum.cancelled += part.cancelled;
  }
  return sum;
}

std::vector<Job> LentJobs::collect(JobStore& journal) {
  std::vector<Job> ended;
  for (int task = 0; fs::exists(store_of(task)); ++task) {
    JobStore store(store_of(task));
    for (const Job& job : store.finished_after("", collected_[task])) {
      collected_[task] = job.finish_number;
      if (journal.settle(job, name_)) ended.push_back(job);
    }
  }
  std::sort(ended.begin(), ended.end(),
            [](const Job& a, const Job& b) { return a.finished_s < b.finished_s; });
  return ended;
}

std::map<int64_t, Job> LentJobs::under_way() const {
  std::map<int64_t, Job> jobs;
  for (int task = 0; fs::exists(store_of(task)); ++task) {
    for (Job& job : JobStore(store_of(task)).list({})) {
      if (job.state == JobState::Pending || is_under_way(job.state))
        jobs.emplace(job.id, std::move(job));
    }
  }
  return jobs;
}

std::vector<Job> LentJobs::take_back(JobStore& journal, const OutputFolder& folder, bool force,
                                     JobCredits& credits) {
  WorkerDisplay unheard;
  std::vector<Job> unmade;
  for (int task = 0; fs::exists(store_of(task)); ++task) {
    JobStore store(store_of(task));
    recover(store, folder, unheard, force, JobStore::Losses::Counted, JobStore::Recover::AllLeases,
            &credits);
    for (const Job& job : store.list({})) {
      if (job.state == JobState::Done) continue;
      credits.lost(store, job);
      unmade.push_back(job);
    }
  }
  std::vector<Job> ended = collect(journal);
  journal.take_back(name_, unmade);
  const bool is_all_done = [&] {
    const JobCounts all = counts();
    return all.done == all.total();
  }();
  remove_stores(folder_);
  std::error_code ignored;
  if (is_all_done) {
    fs::remove_all(folder_, ignored);
  } else {
    fs::create_directory(folder_ / "ended", ignored);  // the logs stay
  }
  return ended;
}

}  // namespace sora
