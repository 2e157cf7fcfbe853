// The names stand at the end of the rows, and the terminal does not wrap while they are drawn
// (DECAWM, ECMA-48 and the VT100's manual), so that a row stays a row however long or wide a name
// is.
#include "cli/terminal/job_bars.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/terminal/progress_text.h"
#include "cli/terminal/terminal.h"
#include "lib/core/json_file.h"

namespace sora::cli {
namespace {

// What lies above the terminal's first row could not be taken off again.
constexpr size_t kMaxBars = 8;
constexpr auto kLineInterval = std::chrono::seconds(5);

std::string phase_of(const Job& job) { return job.phase.empty() ? "start" : job.phase; }

std::string row(const std::string& what, double share, const std::string& note) {
  return fmt::format("{:<13} {} {:>4.0f}%  {}\n", what, bar_text(share), share * 100, note);
}

}  // namespace

void JobBars::show(const std::vector<Job>& running, const WholeProgress& whole) {
  switch (style_) {
    case ProgressStyle::Bar:
      return show_bars(running, whole);
    case ProgressStyle::Plain:
      return show_plain(running, whole);
    case ProgressStyle::Json:
      return show_json(running);
    case ProgressStyle::Auto:
    case ProgressStyle::None:
      return;
  }
}

void JobBars::show_bars(const std::vector<Job>& running, const WholeProgress& whole) {
  std::string rows;
  int num_rows = 1;
  for (size_t i = 0; i < std::min(running.size(), kMaxBars); ++i) {
    rows += row(phase_of(running[i]), running[i].progress, printable(running[i].output));
    ++num_rows;
  }
  std::string note = fmt::format("{} of {} ended", whole.num_ended, whole.num_jobs);
  if (running.size() > kMaxBars)
    note += fmt::format(", {} more under way", running.size() - kMaxBars);
  if (!whole.time_left.empty()) note += ", " + whole.time_left;
  rows += row("all", whole.share, note);
  if (rows == on_screen_) return;
  clear();
  tell("\x1b[?7l{}\x1b[?7h", rows);
  std::fflush(stderr);
  on_screen_ = std::move(rows);
  num_rows_ = num_rows;
}

void JobBars::show_plain(const std::vector<Job>& running, const WholeProgress& whole) {
  const auto now = std::chrono::steady_clock::now();
  if (running.empty() || now - last_line_ < kLineInterval) return;
  last_line_ = now;
  std::string line = fmt::format("{} of {} ended", whole.num_ended, whole.num_jobs);
  for (const Job& job : running)
    line +=
        fmt::format(", {} {:.0f} % {}", printable(job.output), job.progress * 100, phase_of(job));
  if (!whole.time_left.empty()) line += ", " + whole.time_left;
  tell("{}\n", line);
}

void JobBars::show_json(const std::vector<Job>& running) {
  for (const Job& job : running) {
    std::string line = to_text({{"job", job.id},
                                {"output", job.output},
                                {"phase", phase_of(job)},
                                {"progress", job.progress}});
    std::string& told = told_[job.id];
    if (told == line) continue;
    tell("{}\n", line);
    told = std::move(line);
  }
}

void JobBars::clear() {
  if (num_rows_ == 0) return;
  tell("\r\x1b[{}A\x1b[J", num_rows_);
  std::fflush(stderr);
  on_screen_.clear();
  num_rows_ = 0;
}

}  // namespace sora::cli
