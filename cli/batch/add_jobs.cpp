#include "cli/batch/add_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>

#include "cli/batch/output_names.h"
#include "cli/batch/read_jobs.h"
#include "cli/signals.h"
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

// Files that the job will write: all pictures of a sequence too, once its length is known.
std::vector<std::string> file_names(const PlannedJob& planned,
                                    const std::optional<ClipShape>& shape) {
  const Request& request = planned.make.request;
  std::vector<std::string> names;
  for (const std::string& name : output_names(planned.job.output, request.output.latents_path,
                                              shape ? shape->variations : variations_of(request))) {
    for (std::string& file : picture_names(name, shape ? shape->num_frames : 1))
      names.push_back(std::move(file));
  }
  return names;
}

// The fault that one of the job's names is another batch's, or that of a file which stays. `known`:
// what the journal has of the job; files that it left itself do not stay.
std::optional<Fault> name_fault(const PlannedJob& planned, const std::optional<Job>& known,
                                const std::vector<std::string>& names, const RunBatch& batch,
                                const BatchPlace& place, EngineMaker& maker) {
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
    if (batch.force || (known && known->force)) return std::nullopt;
    std::set<std::string> own;  // which stay as they were left, or are gone
    if (known && compare(*known, folder, maker).altered.empty()) {
      for (const JobFile& file : known->files) own.insert(file.name);
    }
    for (const std::string& name : names) {
      if (own.count(name) > 0 || !folder.exists(name)) continue;
      return fault(ErrorKind::Usage,
                   fmt::format("{} exists already; choose another name, or --force to replace it",
                               (folder.root() / name).string()));
    }
  } catch (const Error& error) {
    return fault(error.kind(), error.what());
  }
  return std::nullopt;
}

// Whether jobs that are not made yet are in the batch and not among these.
bool leaves_out_unmade(JobStore& store, const std::string& name, const std::vector<NewJob>& jobs) {
  std::set<std::string> keys;
  for (const NewJob& job : jobs) keys.insert(job.key);
  const std::vector<Job> members = store.list({.batch = name});
  return std::any_of(members.begin(), members.end(), [&](const Job& job) {
    return (job.state == JobState::Pending || is_under_way(job.state)) && keys.count(job.key) == 0;
  });
}

}  // namespace

BatchLook look_at(const RunBatch& batch, const BatchPlace& place, std::vector<PlannedJob> jobs,
                  EngineMaker& maker, KnownJobs known_jobs) {
  BatchLook look{PlanCheck(batch, maker, shown_file(batch)), {}, {}, 0, {}};
  PlanCheck& check = look.check;
  for (PlannedJob& planned : jobs) {
    check_not_signalled();
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
      const std::optional<ClipShape> shape = check.check(planned);
      if (!known || known->state != JobState::Done) {
        if (auto fault =
                name_fault(planned, known, file_names(planned, shape), batch, place, maker))
          check.faults.push_back(std::move(*fault));
      }
    }
    look.jobs.push_back(std::move(planned.job));
  }
  look.quote = check.check_credits();
  return look;
}

AddedJobs add_jobs(const RunBatch& batch, const std::string& name, JobList list, JobStore& store,
                   const OutputFolder& folder, EngineMaker& maker, KnownJobs known_jobs,
                   RunningBatch& running) {
  AddedJobs added;
  added.faults = list.faults;
  if (!added.faults.empty()) return added;
  const BatchLook look =
      look_at(batch, {name, &store, &folder}, std::move(list.jobs), maker, known_jobs);
  added.faults = look.check.faults;
  added.num_skipped = look.num_skipped;
  if (!added.faults.empty()) return added;
  added.notices = look.check.notices;
  const bool is_alone = running.take_alone();
  if (!is_alone && leaves_out_unmade(store, name, look.jobs)) {
    fail(ErrorKind::Usage,
         "another process is at work on {} in {}, with jobs that are not among these; let it end, "
         "or write into another folder with -o",
         shown_file(batch), folder.root().string());
  }
  store.set_batch(name, look.jobs);
  store.retry(look.again);
  running.share();
  return added;
}

AddedJobs retry_jobs(const RunBatch& batch, JobStore& store, const OutputFolder& folder,
                     EngineMaker& maker) {
  AddedJobs added;
  std::set<int64_t> again, skipped;
  for (const auto& [name, counts] : store.counts_by_batch()) {
    for (const Job& job : store.list({.batch = name})) {
      check_not_signalled();
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
