// Shows a batch at work: on stderr a line a job and, on a terminal, a bar for the one at hand; on
// stdout a path a clip, or JSON lines.
#pragma once

#include <chrono>
#include <filesystem>

#include "cli/progress.h"
#include "lib/jobs/worker.h"

namespace sora::cli {

nlohmann::json to_json(const Job& job, const std::filesystem::path& folder);
nlohmann::json to_json(const JobCounts& counts);
std::string clock_text(double seconds);  // "0:07", "1:02:03"

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

  void set_num_jobs(int64_t num_jobs) { num_jobs_ = num_jobs; }
  void summary(const JobCounts& counts);
  void say(const std::string& line);  // on stderr, unless quiet

 private:
  std::string time_left() const;

  Display display_;
  ProgressDisplay inner_;
  std::filesystem::path folder_;
  int64_t num_jobs_;
  int64_t num_skipped_;
  int64_t num_ended_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace sora::cli
