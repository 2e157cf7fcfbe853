#include "cli/batch/dry_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <optional>

#include "cli/actions/payment.h"
#include "cli/batch/add_jobs.h"
#include "cli/batch/plan.h"
#include "cli/results.h"
#include "cli/terminal/progress_text.h"
#include "cli/terminal/terminal.h"

namespace sora::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kBytesPerMiB = 1024.0 * 1024.0;

nlohmann::json to_json(const BatchLook& look) {
  nlohmann::json jobs = nlohmann::json::array();
  for (const NewJob& job : look.jobs)
    jobs.push_back({{"place", job.place}, {"command", job.command}, {"output", job.output}});
  nlohmann::json notices = nlohmann::json::array();
  for (const Fault& notice : look.check.notices)
    notices.push_back({{"file", notice.file},
                       {"line", notice.at.line},
                       {"column", notice.at.column},
                       {"message", notice.message}});
  return {{"schema", 1},
          {"jobs", jobs},
          {"done", look.num_skipped},
          {"frames", look.check.totals.frames},
          {"seconds", look.check.totals.seconds},
          {"memory_bytes", look.check.totals.memory_bytes},
          {"notices", notices},
          {"credits", credits_json(look.check.account(), look.quote)}};
}

void print_plan(const BatchLook& look) {
  for (const NewJob& job : look.jobs) {
    write_result(
        printable(fmt::format("{}: {} <- {}", job.place, job.output, fmt::join(job.command, " "))) +
        "\n");
  }
  for (const Fault& notice : look.check.notices)
    write_result("note: " + printable(to_string(notice)) + "\n");
  const PlanCheck::Totals& totals = look.check.totals;
  write_result(
      fmt::format("jobs      {}, {} of them done\nframes    {}\nwork      about {} here\nmemory    "
                  "about {:.0f} MiB\ncredits   {}\n",
                  look.jobs.size(), look.num_skipped, totals.frames, clock_text(totals.seconds),
                  static_cast<double>(totals.memory_bytes) / kBytesPerMiB,
                  credits_line(look.check.account(), look.quote)));
}

}  // namespace

void plan_only(const RunBatch& batch, JobList list, EngineMaker& maker, const Display& display) {
  const fs::path path = folder_of(batch);
  std::optional<OutputFolder> folder;
  if (fs::exists(path)) folder.emplace(path);
  std::optional<JobStore> store;
  if (folder && fs::exists(folder->journal())) store.emplace(folder->journal());
  const BatchPlace place{name_of(batch, list), store ? &*store : nullptr,
                         folder ? &*folder : nullptr};
  const BatchLook look = look_at(batch, place, std::move(list.jobs), maker, KnownJobs::MadeAgain);
  if (!list.faults.empty() || !look.check.faults.empty())
    fail_with_faults(list, look.check, display);
  if (display.json) return write_json(to_json(look));
  print_plan(look);
}

}  // namespace sora::cli
