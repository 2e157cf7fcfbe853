#include "cli/batch/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/results.h"
#include "cli/run.h"
#include "cli/terminal/terminal.h"
#include "lib/core/error.h"
#include "lib/jobs/output_folder.h"

namespace sora::cli {

namespace fs = std::filesystem;

bool is_stream(const RunBatch& batch) {
  if (batch.file == "-") return true;
  std::error_code error;
  const fs::file_status status = fs::status(batch.file, error);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

fs::path folder_of(const RunBatch& batch) {
  if (!batch.folder.empty()) return batch.folder;
  return is_stream(batch) ? fs::path("clips")
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

std::string name_of(const RunBatch& batch, const JobList& list) {
  std::string name =
      is_stream(batch) ? "stdin " + list.text_digest : fs::weakly_canonical(batch.file).string();
  if (batch.num_shards > 1) name += fmt::format(" {}/{}", batch.shard, batch.num_shards);
  return name;
}

PlanCheck::PlanCheck(const RunBatch& batch, EngineMaker& maker, std::string file)
    : batch_(batch),
      engine_(maker.engine()),
      account_(maker.account_of(batch.plan, "")),
      file_(std::move(file)) {}

std::optional<ClipShape> PlanCheck::check(const PlannedJob& planned) {
  try {
    Request request = with_recipe(planned.make, engine_);
    request.output.path = planned.job.output;
    const PlanReport plan = engine_.plan(request);
    totals.frames += plan.shape.num_frames * plan.shape.variations;
    totals.seconds += plan.json.at("seconds").get<double>();
    totals.memory_bytes =
        std::max(totals.memory_bytes, plan.json.at("memory_bytes").get<int64_t>());
    totals.credits += account_.price(plan.shape);
    running_totals_.push_back(totals.credits);
    for (const nlohmann::json& notice : plan.json.at("notices")) {
      Fault fault{file_, planned.at, ErrorKind::Usage, notice.get<std::string>()};
      if (batch_.strict)
        faults.push_back(std::move(fault));
      else
        notices.push_back(std::move(fault));
    }
    return plan.shape;
  } catch (const Error& error) {
    faults.push_back({file_, place_of_fault(planned, error.what()), error.kind(), error.what()});
    return std::nullopt;
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

void fail_with_faults(const JobList& list, const PlanCheck& check, const Display& display) {
  std::vector<Fault> faults = list.faults;
  faults.insert(faults.end(), check.faults.begin(), check.faults.end());
  std::stable_sort(faults.begin(), faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  fail_with_faults(faults, display);
}

}  // namespace sora::cli
