#include "cli/batch/add_jobs.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>
#include <set>

#include "cli/batch/read_jobs.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

// The prompt file that a job stands in.
std::string file_of(const NewJob& job) { return job.place.substr(0, job.place.rfind(':')); }

Place line_of(const NewJob& job) {
  return {std::atoi(job.place.substr(job.place.rfind(':') + 1).c_str()), 0};
}

KeptFiles compare(const Job& known, const OutputFolder& folder, EngineMaker& maker) {
  return folder.compare(known.files, [&](const auto& path) { return maker.sha256(path); });
}

// Whether nothing is to be done; a file that was altered since is a fault, one that is gone is made
// again.
bool is_done(const Job& known, const NewJob& said, Place at, const OutputFolder& folder,
             EngineMaker& maker, std::vector<Fault>& faults) {
  const KeptFiles kept = compare(known, folder, maker);
  if (kept.altered.empty()) return kept.is_whole;
  faults.push_back(
      {file_of(said), at, ErrorKind::Usage,
       fmt::format("{} has changed since it was made; move it away, or --force to make it again",
                   kept.altered)});
  return true;
}

// The fault that the job's name is another batch's, or that of a file which stays. `known`: what
// the journal has of the job; files that it left itself do not stay.
std::optional<Fault> name_fault(const PlannedJob& planned, const std::optional<Job>& known,
                                const RunBatch& batch, const BatchPlace& place,
                                EngineMaker& maker) {
  if (place.folder == nullptr) return std::nullopt;
  const auto fault = [&](ErrorKind kind, std::string message) {
    return Fault{file_of(planned.job), planned.at, kind, std::move(message)};
  };
  const std::string& output = planned.job.output;
  const OutputFolder& folder = *place.folder;
  try {
    std::optional<Job> other;
    if (place.store != nullptr)
      other = place.store->other_maker_of(output, planned.job.key, place.name);
    if (other) {
      return fault(ErrorKind::Usage,
                   fmt::format("the output {} is that of another batch in this folder ({})", output,
                               other->place));
    }
    const auto is_own = [&] {
      return known && !known->files.empty() && compare(*known, folder, maker).altered.empty();
    };
    if (!batch.force && folder.exists(output) && !is_own()) {
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

BatchLook look_at(const RunBatch& batch, const BatchPlace& place, std::vector<PlannedJob> jobs,
                  EngineMaker& maker, KnownJobs known_jobs) {
  BatchLook look{PlanCheck(batch, maker, shown_file(batch)), {}, {}, 0, {}};
  PlanCheck& check = look.check;
  for (PlannedJob& planned : jobs) {
    std::optional<Job> known;
    if (place.store != nullptr) known = place.store->find_by_key(planned.job.key);
    if (known) planned.job.output = known->output;
    if (known && known_jobs == KnownJobs::LeftAsTheyAre) {
      ++look.num_skipped;
    } else if (known && known->state == JobState::Done && !batch.force &&
               is_done(*known, planned.job, planned.at, *place.folder, maker, check.faults)) {
      ++look.num_skipped;
    } else if (!known || !is_under_way(known->state)) {
      if (known && known->state != JobState::Pending) look.again.push_back(known->id);
      if (!known || known->state != JobState::Done) {
        if (auto fault = name_fault(planned, known, batch, place, maker))
          check.faults.push_back(std::move(*fault));
      }
      check.check(planned);
    }
    look.jobs.push_back(std::move(planned.job));
  }
  look.quote = check.check_credits();
  return look;
}

AddedJobs add_jobs(const RunBatch& batch, const std::string& name, JobList list, JobStore& store,
                   const OutputFolder& folder, EngineMaker& maker, KnownJobs known_jobs) {
  AddedJobs added;
  added.faults = list.faults;
  if (!added.faults.empty()) return added;
  const BatchLook look =
      look_at(batch, {name, &store, &folder}, std::move(list.jobs), maker, known_jobs);
  added.faults = look.check.faults;
  added.num_skipped = look.num_skipped;
  if (!added.faults.empty()) return added;
  added.notices = look.check.notices;
  store.set_batch(name, look.jobs);
  store.retry(look.again);
  return added;
}

AddedJobs retry_jobs(const RunBatch& batch, JobStore& store, const OutputFolder& folder,
                     EngineMaker& maker) {
  AddedJobs added;
  std::set<int64_t> again, skipped;
  for (const auto& [name, counts] : store.counts_by_batch()) {
    for (const Job& job : store.list({.batch = name})) {
      const bool is_over = job.state == JobState::Done || job.state == JobState::Failed ||
                           job.state == JobState::Cancelled;
      if (!is_over || again.count(job.id) + skipped.count(job.id) > 0) continue;
      const bool is_skipped = job.state == JobState::Done && !batch.force &&
                              is_done(job, job, line_of(job), folder, maker, added.faults);
      (is_skipped ? skipped : again).insert(job.id);
    }
  }
  added.num_skipped = static_cast<int64_t>(skipped.size());
  if (!added.faults.empty()) return added;
  store.retry({again.begin(), again.end()});
  return added;
}

}  // namespace sora::cli
