// The journal of a batch and the table behind a queue: which jobs there are, who makes them, what
// became of them. Any number of processes may work on one store; each job has one maker at a time,
// by a lease that ends with the process.
//
//   pending -> running -> made -> done        made: whole in the staging folder, on the way to its
//   name
//      ^          |-> failed, cancelled
//      '----------'  stopped, retried, or its process died
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "lib/jobs/job.h"
#include "lib/jobs/journal_mode.h"
#include "lib/jobs/process_identity.h"

namespace sora {

inline constexpr int kMaxLosses = 2;

struct ClaimWishes {
  std::string batch;         // only jobs of this batch; empty: any
  std::string loaded_model;  // preferred, after lane
};

struct JobCounts {
  int64_t pending = 0, running = 0, done = 0, failed = 0, cancelled = 0;
  int64_t total() const { return pending + running + done + failed + cancelled; }
};

struct JobFilter {
  std::string batch = {};  // empty: any
  std::optional<std::string> owner = {};
  std::optional<JobState> state = {};
};

class JobStore {
 public:
  // Throws as JobDatabase does.
  explicit JobStore(const std::filesystem::path& path,
                    JournalMode journal = JournalMode::LogWherePossible);
  ~JobStore();
  JobStore(const JobStore&) = delete;
  JobStore& operator=(const JobStore&) = delete;

  // Adds what is not there by key, and makes `batch` consist of exactly these jobs, in this order;
  // ids in that order. Known jobs get the places and the limits of tries that are given now. Jobs
  // that this takes out of the batch are forgotten where they were never made and belong to no
  // other.
  std::vector<int64_t> set_batch(const std::string& batch, const std::vector<NewJob>& jobs);
  int64_t add(const NewJob& job);

  // The next job for this process, now Running; nothing where none can run now.
  std::optional<Job> claim(const ClaimWishes& wishes);
  // The jobs that claim() would give next, without giving them.
  std::vector<Job> upcoming(const ClaimWishes& wishes, int64_t limit);

  // Of a job that this process runs. Each does nothing where the lease was lost, and says so with
  // false.
  bool renew(int64_t id, const std::string& phase, double progress);
  bool holds(int64_t id);
  bool mark_made(int64_t id, const std::vector<JobFile>& files, const nlohmann::json& result);
  bool mark_done(int64_t id, const std::vector<JobFile>& files);
  // Pending again while it has tries left and `may_retry`, otherwise Failed; the state it got.
  JobState mark_failed(int64_t id, const Error& error, bool may_retry);
  bool release(int64_t id);         // pending again, the try not counted
  bool release_unmade(int64_t id);  // the same, but one that is Made stays so, to be recovered
  bool mark_cancelled(int64_t id);

  // Leases of dead processes: running jobs are pending again, their try not counted; those already
  // made are taken over by this process, to be given their names. Where losses are counted, a job
  // that has lost its process more than kMaxLosses times has failed.
  enum class Losses { Counted, Forgiven };
  enum class Recover {
    DeadLeases,
    AllLeases
  };  // AllLeases: the caller knows that no other process is at work
  struct Recovered {
    std::vector<Job> made;
    std::vector<Job> ended;  // Cancelled, as was wanted of them, or Failed
  };
  Recovered recover(Losses losses = Losses::Forgiven, Recover which = Recover::DeadLeases);

  // Note [Lent jobs]
  // The tasks of a cluster's array work on stores of their own (lib/jobs/lent_jobs.h). A job that
  // is lent is Running in this store and has no process; no recovery touches it.
  std::vector<Job> lend(const std::string& batch,
                        const std::string& borrower);  // all that are pending, now lent
  bool settle(
      const Job& ended,
      const std::string& borrower);  // what came of one; false: it is not lent to this borrower
  // The rest is pending again, having lost its process as often as the rows of `unmade` say.
  void take_back(const std::string& borrower, const std::vector<Job>& unmade);
  void adopt(
      const std::vector<Job>& jobs);  // the borrower's side: adds them, pending, under their ids

  // Pending and running jobs are cancelled (a running one by its maker, at its next step). False:
  // it had ended already.
  bool cancel(int64_t id);
  bool cancel_wanted(int64_t id);
  // Failed, Cancelled or Done ones are Pending again; how many of these were.
  int64_t retry(const std::vector<int64_t>& ids);
  bool remove(int64_t id);  // any that is not running
  void set_details(int64_t id, const nlohmann::json& details);

  std::optional<Job> find(int64_t id);
  std::optional<Job> find_by_key(const std::string& key);
  // A job that is still to write this output; one of another batch.
  std::optional<Job> maker_of(const std::string& output);
  std::optional<Job> other_maker_of(const std::string& output, const std::string& key,
                                    const std::string& batch);
  std::vector<Job> list(const JobFilter& filter);
  // Done and Failed ones of a batch by the order of their ends, those after number `finish_number`.
  std::vector<Job> finished_after(const std::string& batch, int64_t finish_number);
  int64_t last_finish_number();
  JobCounts counts(const JobFilter& filter);
  std::map<std::string, JobCounts> counts_by_batch();

  void set_paused(bool paused);
  bool paused();

  const ProcessIdentity& self() const { return self_; }
  const std::filesystem::path& path() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
  ProcessIdentity self_;
};

}  // namespace sora
