// Shows a batch at work: on stderr a line a job and, on a terminal, a bar for the one at hand or a
// bar each for those that other processes make; on stdout a path a clip, or JSON lines.
#pragma once

#include <chrono>
#include <filesystem>
#include <set>
#include <utility>

#include "cli/terminal/job_bars.h"
#include "cli/terminal/progress.h"
#include "lib/jobs/worker.h"

namespace sora::cli {

nlohmann::json to_json(const Job& job, const std::filesystem::path& folder);
nlohmann::json to_json(const JobCounts& counts);

class BatchDisplay : public WorkerDisplay {
 public:
  // `num_skipped` jobs of `num_jobs` are done already.
  BatchDisplay(const Display& display, std::filesystem::path folder, int64_t num_jobs,
               int64_t num_skipped);

  void job_started(const Job& job) override;
  void job_ended(const Job& job) override;  // throws Error(Io) where stdout is closed
  void begin(Phase phase, int64_t total_steps) override { inner_.begin(phase, total_steps); }
  void advance(Phase phase, int64_t steps_done) override { inner_.advance(phase, steps_done); }
  void notice(std::string_view sentence) override;
  bool stop_requested() const override { return inner_.stop_requested(); }

  // How far jobs are that others make, as often as there is news; `jobs` may hold such that wait or
  // have ended, and one twice. They are to be read before job_ended() is called for what has ended
  // since: one that ends in between would else be counted nowhere. Nobody need ask the journal for
  // them where it is not shown.
  bool shows_under_way() const { return bars_.are_shown(); }
  void under_way(const std::vector<Job>& jobs);
  ProgressDisplay& progress() { return inner_; }  // of the job at hand
  void set_num_jobs(int64_t num_jobs) { num_jobs_ = num_jobs; }
  void summary(const JobCounts& counts);
  void say(const std::string& line);  // on stderr, unless quiet

 private:
  // `ended` jobs of this run, those that are under way counted in part. Empty: nothing tells yet.
  std::string time_left(double ended) const;
  void clear();

  Display display_;
  ProgressDisplay inner_;
  JobBars bars_;
  std::filesystem::path folder_;
  int64_t num_jobs_;
  int64_t num_skipped_;
  int64_t num_ended_ = 0;
  std::set<std::pair<int64_t, int64_t>> ended_;  // since under_way(): their ids and tries
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace sora::cli
