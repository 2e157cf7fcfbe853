#include "cli/batch/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "cli/actions/payment.h"
#include "cli/batch/display.h"
#include "cli/batch/read_jobs.h"
#include "cli/results.h"
#include "cli/run.h"
#include "cli/terminal/progress_text.h"
#include "cli/terminal/terminal.h"
#include "lib/core/error.h"
#include "lib/jobs/job_store.h"
#include "lib/jobs/output_folder.h"

namespace sora::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kBytesPerMiB = 1024.0 * 1024.0;

void print_plan(const JobList& list, const PlanCheck& check, const Quote& quote, int64_t num_done,
                const Display& display) {
  if (display.json) {
    nlohmann::json jobs = nlohmann::json::array();
    for (const PlannedJob& planned : list.jobs)
      jobs.push_back({{"place", planned.job.place},
                      {"command", planned.job.command},
                      {"output", planned.job.output}});
    return write_json({{"schema", 1},
                       {"jobs", jobs},
                       {"done", num_done},
                       {"frames", check.totals.frames},
                       {"seconds", check.totals.seconds},
                       {"memory_bytes", check.totals.memory_bytes},
                       {"credits", credits_json(check.account(), quote)}});
  }
  for (const PlannedJob& planned : list.jobs) {
    write_result(printable(fmt::format("{}: {} <- {}", planned.job.place, planned.job.output,
                                       fmt::join(planned.job.command, " "))) +
                 "\n");
  }
  for (const Fault& notice : check.notices)
    write_result("note: " + printable(to_string(notice)) + "\n");
  write_result(
      fmt::format("jobs      {}, {} of them done\nframes    {}\nwork      about {} here\nmemory    "
                  "about {:.0f} MiB\ncredits   {}\n",
                  list.jobs.size(), num_done, check.totals.frames, clock_text(check.totals.seconds),
                  static_cast<double>(check.totals.memory_bytes) / kBytesPerMiB,
                  credits_line(check.account(), quote)));
}

}  // namespace

fs::path folder_of(const RunBatch& batch) {
  if (!batch.folder.empty()) return batch.folder;
  return batch.file == "-" ? fs::path("clips")
                           : fs::path(fs::path(batch.file).stem().string() + "-clips");
}

fs::path journal_in(const fs::path& folder) {
  fs::path journal = OutputFolder::journal_of(folder);
  if (!fs::exists(journal)) {
    fail(ErrorKind::NotFound, "{} has no batch in it; there is no {}", folder.string(),
         journal.string());
  }
  return journal;
}

PlanCheck::PlanCheck(const RunBatch& batch, EngineMaker& maker, std::string file)
    : batch_(batch),
      engine_(maker.engine()),
      account_(maker.account_of(batch.plan, "")),
      file_(std::move(file)) {}

void PlanCheck::check(const PlannedJob& planned, bool is_done) {
  try {
    Request request = with_recipe(planned.make, engine_);
    request.output.path = planned.job.output;
    const PlanReport plan = engine_.plan(request);
    totals.frames += plan.shape.num_frames * plan.shape.variations;
    totals.seconds += plan.json.at("seconds").get<double>();
    totals.memory_bytes =
        std::max(totals.memory_bytes, plan.json.at("memory_bytes").get<int64_t>());
    const int64_t credits = account_.price(plan.shape);
    if (!is_done) totals.credits += credits;
    if (!is_done) running_totals_.push_back(totals.credits);
    for (const nlohmann::json& notice : plan.json.at("notices")) {
      Fault fault{file_, planned.at, ErrorKind::Usage, notice.get<std::string>()};
      if (batch_.strict)
        faults.push_back(std::move(fault));
      else
        notices.push_back(std::move(fault));
    }
  } catch (const Error& error) {
    faults.push_back({file_, place_of_fault(planned, error.what()), error.kind(), error.what()});
  }
}

Quote PlanCheck::check_credits() {
  Quote quote{totals.credits, {}, ""};
  if (!account_.is_counted()) return quote;
  const Balance balance = account_.balance();
  quote.left = *account_.plan().credits_per_month - balance.used;
  quote.month = balance.month;
  if (totals.credits <= *quote.left) return quote;
  const auto num_fitting =
      std::upper_bound(running_totals_.begin(), running_totals_.end(), *quote.left) -
      running_totals_.begin();
  faults.push_back({file_,
                    {},
                    ErrorKind::Refused,
                    fmt::format("the batch costs {} credits, and {} of the plan {}'s {} for {} are "
                                "left; its first {} jobs would fit; "
                                "new credits come on {}",
                                totals.credits, *quote.left, account_.plan().name,
                                *account_.plan().credits_per_month, month_name(quote.month),
                                num_fitting, next_month_day(quote.month))});
  return quote;
}

void show_faults(const std::vector<Fault>& faults, const Display& display) {
  for (const Fault& fault : faults) {
    tell("{}\n", printable(to_string(fault)));
    if (display.json) {
      write_json({{"fault",
                   {{"file", fault.file},
                    {"line", fault.at.line},
                    {"column", fault.at.column},
                    {"kind", to_string(fault.kind)},
                    {"message", fault.message}}}});
    }
  }
}

void fail_with_faults(const std::vector<Fault>& faults, const Display& display) {
  show_faults(faults, display);
  fail(faults.front().kind, "{} {} in the batch; nothing was made", faults.size(),
       faults.size() == 1 ? "fault" : "faults");
}

void plan_only(const RunBatch& batch, const JobList& list, EngineMaker& maker,
               const Display& display) {
  PlanCheck check(batch, maker, shown_file(batch));
  int64_t num_done = 0;
  const fs::path journal = OutputFolder::journal_of(folder_of(batch));
  std::optional<JobStore> store;
  if (fs::exists(journal)) store.emplace(journal);
  for (const PlannedJob& planned : list.jobs) {
    const std::optional<Job> known = store ? store->find_by_key(planned.job.key) : std::nullopt;
    const bool is_done = known && known->state == JobState::Done;
    if (is_done) ++num_done;
    check.check(planned, is_done);
  }
  const Quote quote = check.check_credits();
  std::vector<Fault> faults = list.faults;
  faults.insert(faults.end(), check.faults.begin(), check.faults.end());
  if (!faults.empty()) fail_with_faults(faults, display);
  print_plan(list, check, quote, num_done, display);
}

}  // namespace sora::cli
