// Makes the jobs of a store one after another until none is left: claim, make into the staging
// folder, record, name.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "lib/core/observer.h"
#include "lib/jobs/job_store.h"
#include "lib/jobs/output_folder.h"

namespace sora {

// What a job is made by.
class JobMaker {
 public:
  virtual ~JobMaker() = default;
  // Writes the job's files below `stage`, under the names they are to have below the output folder;
  // returns its result.
  virtual nlohmann::json make(const Job& job, const std::filesystem::path& stage,
                              Observer& observer) = 0;
  // Told what comes next, so that it may be prepared together.
  virtual void prepare(const std::vector<Job>& jobs, Observer& observer) = 0;
  virtual std::string sha256(const std::filesystem::path& path) = 0;
};

// Told what a job's credits wait for, with the store that it was claimed from. Each may be said
// twice.
class JobCredits {
 public:
  virtual ~JobCredits() = default;
  virtual void settle(const JobStore& store,
                      const Job& job) = 0;  // Made: its files are whole, its result is set
  virtual void refund(const JobStore& store,
                      const Job& job) = 0;  // this process does not make it, for now or for good
  virtual void lost(const JobStore& store,
                    const Job& job) = 0;  // the process that made it is gone, here or elsewhere
};

// What is told of each job, and, as an observer, of the work in it.
class WorkerDisplay : public Observer {
 public:
  virtual void job_started(const Job&) {}
  virtual void job_ended(const Job&) {
  }  // done, failed, cancelled, or pending again for another try
};

struct WorkerOptions {
  std::string batch;           // empty: any job of the store
  bool keep_going = false;     // after a job has failed
  bool force = false;          // replace files that are in the way
  int64_t prepare_ahead = 64;  // jobs
  // Asked when nothing can be claimed: true to look again after a moment, false to end.
  std::function<bool()> wait_for_more = [] { return false; };
  // Called when a stop was asked for and the job goes on for kStopPatience_s; it is to end the
  // process.
  std::function<void()> stop_now = [] {};
  JobCredits* credits = nullptr;  // null: nothing is counted
};

// From SIGTERM to SIGKILL Slurm and Kubernetes leave 30 s.
inline constexpr double kStopPatience_s = 18;

enum class WorkerEnd {
  Finished,  // nothing is left to claim
  Failed,    // a job failed and keep_going is false
  Stopped,   // the observer asked for it; the job at hand is pending again
};

// Throws Error(Io) where store or folder fail; the job at hand is pending again then.
WorkerEnd work(JobStore& store, const OutputFolder& folder, JobMaker& maker, WorkerDisplay& display,
               const WorkerOptions& options);

// Gives jobs that were made by processes now dead their names, and frees what such processes were
// making. What is left of jobs that end by it is removed.
void recover(JobStore& store, const OutputFolder& folder, WorkerDisplay& display, bool force,
             JobStore::Losses losses = JobStore::Losses::Forgiven,
             JobStore::Recover which = JobStore::Recover::DeadLeases,
             JobCredits* credits = nullptr);

}  // namespace sora
