#include "cli/batch/display.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/results.h"
#include "cli/signals.h"
#include "cli/terminal/progress_text.h"
#include "cli/terminal/terminal.h"

namespace sora::cli {
namespace {

// Off a terminal the lines of the jobs are enough; the phases of each would bury them.
Display within_job(Display display) {
  if (display.progress == ProgressStyle::Auto && !stderr_is_animated())
    display.progress = ProgressStyle::None;
  return display;
}

}  // namespace

nlohmann::json to_json(const Job& job, const std::filesystem::path& folder) {
  nlohmann::json object = {{"schema", 1},
                           {"id", job.id},
                           {"state", to_string(job.state)},
                           {"lane", to_string(job.lane)},
                           {"place", job.place},
                           {"command", job.command},
                           {"output", (folder / job.output).string()},
                           {"tries", job.tries},
                           {"progress", job.progress}};
  if (job.started_s > 0 && job.finished_s > 0) object["seconds"] = job.finished_s - job.started_s;
  if (!job.error.empty()) object["error"] = {{"kind", job.error_kind}, {"message", job.error}};
  if (job.state == JobState::Done) {
    object["clips"] = job.result;
    object["files"] = nlohmann::json::array();
    for (const JobFile& file : job.files) {
      object["files"].push_back({{"path", (folder / file.name).string()},
                                 {"bytes", file.bytes},
                                 {"sha256", file.sha256}});
    }
  }
  return object;
}

nlohmann::json to_json(const JobCounts& counts) {
  return {{"jobs", counts.total()},    {"done", counts.done},     {"pending", counts.pending},
          {"running", counts.running}, {"failed", counts.failed}, {"cancelled", counts.cancelled}};
}

BatchDisplay::BatchDisplay(const Display& display, std::filesystem::path folder, int64_t num_jobs,
                           int64_t num_skipped)
    : display_(display),
      inner_(within_job(display)),
      bars_(progress_style(within_job(display))),
      folder_(std::move(folder)),
      num_jobs_(num_jobs),
      num_skipped_(num_skipped) {}

void BatchDisplay::job_started(const Job& job) {
  if (stderr_is_animated())
    say(fmt::format("[{}/{}] {}", num_skipped_ + num_ended_ + 1, num_jobs_, job.output));
}

void BatchDisplay::job_ended(const Job& job) {
  clear();
  if (job.state == JobState::Pending) {
    if (!job.error.empty() && job.finished_s == 0)
      say(fmt::format("{}: {}; it will be tried again", job.place, job.error));
    return;
  }
  ++num_ended_;
  ended_.emplace(job.id, job.tries);
  const std::string number = fmt::format("[{}/{}]", num_skipped_ + num_ended_, num_jobs_);
  if (job.state == JobState::Done) {
    const std::string left = time_left(static_cast<double>(num_ended_));
    say(fmt::format("{} {} in {:.1f} s{}{}", number, job.output, job.finished_s - job.started_s,
                    left.empty() ? "" : ", ", left));
  } else if (job.state == JobState::Failed) {
    tell("{} {}: failed: {}\n", number, printable(job.place), printable(job.error));
  } else {
    say(fmt::format("{} {} was {}", number, job.output, to_string(job.state)));
  }
  if (display_.json) {
    write_json({{"job", to_json(job, folder_)}});
  } else if (job.state == JobState::Done) {
    for (const nlohmann::json& clip : job.result)
      write_result((folder_ / clip.at("paths").at(0).get<std::string>()).string() + "\n");
  }
}

void BatchDisplay::notice(std::string_view sentence) {
  bars_.clear();
  inner_.notice(sentence);
}

void BatchDisplay::under_way(const std::vector<Job>& jobs) {
  std::vector<Job> running;
  auto ended = static_cast<double>(num_ended_);
  auto counted = std::exchange(ended_, {});
  for (const Job& job : jobs) {
    if (!is_under_way(job.state)) continue;
    if (!counted.emplace(job.id, job.tries).second) continue;
    ended += job.progress;
    running.push_back(job);
  }
  WholeProgress whole{num_skipped_ + num_ended_, num_jobs_, 0, time_left(ended)};
  if (num_jobs_ > 0)
    whole.share = (static_cast<double>(num_skipped_) + ended) / static_cast<double>(num_jobs_);
  bars_.show(running, whole);
}

void BatchDisplay::clear() {
  inner_.clear();
  bars_.clear();
}

void BatchDisplay::say(const std::string& line) {
  if (display_.quiet || display_.progress == ProgressStyle::None ||
      display_.progress == ProgressStyle::Json)
    return;
  clear();
  tell("{}\n", printable(line));
}

std::string BatchDisplay::time_left(double ended) const {
  constexpr double kTellingShare = 0.1;  // of a job
  const double left = static_cast<double>(num_jobs_ - num_skipped_) - ended;
  if (left <= 0 || ended < kTellingShare) return "";
  const double elapsed_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return clock_text(elapsed_s / ended * left) + " left";
}

void BatchDisplay::summary(const JobCounts& counts) {
  clear();
  const double elapsed_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  std::string line = fmt::format("{} of {} done", counts.done, counts.total());
  if (num_skipped_ > 0) line += fmt::format(" ({} before)", num_skipped_);
  if (counts.failed > 0) line += fmt::format(", {} failed", counts.failed);
  if (counts.pending + counts.running > 0)
    line += fmt::format(", {} to do", counts.pending + counts.running);
  say(fmt::format("{}, {} in {}", line, folder_.string(), clock_text(elapsed_s)));
  if (display_.json) {
    nlohmann::json object = to_json(counts);
    object["skipped"] = num_skipped_;
    object["seconds"] = elapsed_s;
    object["folder"] = folder_.string();
    write_json({{"summary", object}});
  }
}

}  // namespace sora::cli
