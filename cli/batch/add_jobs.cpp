#include "cli/batch/add_jobs.h"

#include <fmt/format.h>

#include <optional>

#include "cli/batch/plan.h"
#include "cli/batch/read_jobs.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

// The prompt file that a job stands in.
std::string file_of(const PlannedJob& planned) {
  return planned.job.place.substr(0, planned.job.place.rfind(':'));
}

// Whether nothing is to be done; a file that was altered since is a fault, one that is gone is made
// again.
bool is_done(const Job& known, const PlannedJob& planned, const OutputFolder& folder,
             EngineMaker& maker, std::vector<Fault>& faults) {
  if (folder.matches(known.files, [&](const auto& path) { return maker.sha256(path); }))
    return true;
  for (const JobFile& file : known.files) {
    if (!folder.exists(file.name)) continue;
    faults.push_back(
        {file_of(planned), planned.at, ErrorKind::Usage,
         fmt::format("{} has changed since it was made; move it away, or --force to make it again",
                     file.name)});
    return true;
  }
  return false;
}

// The fault that the job's name is another batch's, or that of a file which stays.
std::optional<Fault> name_fault(const PlannedJob& planned, const RunBatch& batch,
                                const std::string& name, JobStore& store,
                                const OutputFolder& folder) {
  const auto fault = [&](ErrorKind kind, std::string message) {
    return Fault{file_of(planned), planned.at, kind, std::move(message)};
  };
  const std::string& output = planned.job.output;
  try {
    if (const std::optional<Job> other = store.other_maker_of(output, planned.job.key, name)) {
      return fault(ErrorKind::Usage,
                   fmt::format("the output {} is that of another batch in this folder ({})", output,
                               other->place));
    }
    if (!batch.force && folder.exists(output)) {
      return fault(ErrorKind::Usage,
                   fmt::format("{} exists already; choose another name, or --force to replace it",
                               (folder.root() / output).string()));
    }
  } catch (const Error& error) {
    return fault(error.kind(), error.what());
  }
  return std::nullopt;
}

}  // namespace

AddedJobs add_jobs(const RunBatch& batch, const std::string& name, JobList list, JobStore& store,
                   const OutputFolder& folder, EngineMaker& maker) {
  AddedJobs added;
  added.faults = list.faults;
  if (!added.faults.empty()) return added;
  PlanCheck check(batch, maker, shown_file(batch));
  std::vector<int64_t> again;
  std::vector<NewJob> jobs;
  for (PlannedJob& planned : list.jobs) {
    const std::optional<Job> known = store.find_by_key(planned.job.key);
    if (known) planned.job.output = known->output;
    if (known && known->state == JobState::Done && !batch.force &&
        is_done(*known, planned, folder, maker, check.faults)) {
      ++added.num_skipped;
    } else if (!known || (known->state != JobState::Running && known->state != JobState::Made)) {
      if (known && known->state != JobState::Pending) again.push_back(known->id);
      if (!known || known->state != JobState::Done) {
        if (auto fault = name_fault(planned, batch, name, store, folder))
          check.faults.push_back(std::move(*fault));
      }
      check.check(planned);
    }
    jobs.push_back(planned.job);
  }
  check.check_credits();
  added.faults = check.faults;
  if (!added.faults.empty()) return added;
  added.notices = check.notices;
  store.set_batch(name, jobs);
  for (const int64_t id : again) store.retry(id);
  return added;
}

}  // namespace sora::cli
