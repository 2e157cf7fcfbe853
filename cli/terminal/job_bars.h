// Shows how far several jobs are at once, and all of them together: on a terminal a bar each, below
// whatever has been printed; elsewhere, where asked for, plain or JSON lines.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "cli/command.h"
#include "lib/jobs/job.h"

namespace sora::cli {

// All jobs together.
struct WholeProgress {
  int64_t num_ended = 0;
  int64_t num_jobs = 0;
  double share = 0;       // 0 to 1, the running ones counted in part
  std::string time_left;  // "2:10 left"; empty: not known yet
};

class JobBars {
 public:
  explicit JobBars(ProgressStyle style) : style_(style) {}
  ~JobBars() { clear(); }
  JobBars(const JobBars&) = delete;
  JobBars& operator=(const JobBars&) = delete;

  bool are_shown() const { return style_ != ProgressStyle::None; }
  void show(const std::vector<Job>& running, const WholeProgress& whole);
  void clear();  // takes the bars off the terminal before something else is printed

 private:
  void show_bars(const std::vector<Job>& running, const WholeProgress& whole);
  void show_plain(const std::vector<Job>& running, const WholeProgress& whole);
  void show_json(const std::vector<Job>& running);

  ProgressStyle style_;
  std::string on_screen_;
  int num_rows_ = 0;  // of it
  std::chrono::steady_clock::time_point last_line_;
  std::map<int64_t, std::string> told_;  // by job
};

}  // namespace sora::cli
