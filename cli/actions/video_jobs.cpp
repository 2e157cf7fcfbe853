#include "cli/actions/video_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "cli/parse.h"
#include "lib/core/error.h"
#include "lib/jobs/plan_refusal.h"

namespace sora::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInvalid = "invalid_request_error";
constexpr const char* kDefaultSeconds = "4";
constexpr const char* kDeleted = "deleted";  // of a job's details
constexpr const char* kStandIns[] = {"sora-2", "sora-2-pro"};

std::string random_id(const std::string& prefix) {
  std::random_device random;
  std::string id = prefix;
  for (int word = 0; word < 4; ++word) id += fmt::format("{:08x}", random());
  return id;
}

// A message without where on this machine the queue's files lie.
std::string without_folder(std::string message, const fs::path& folder) {
  for (const fs::path& each : {folder / ".sora" / "uploads", folder}) {
    const std::string above = each.string() + "/";
    for (size_t at = message.find(above); at != std::string::npos; at = message.find(above, at))
      message.erase(at, above.size());
  }
  return message;
}

// An error of this program in the terms of the interface.
[[noreturn]] void refuse(const Error& error, const fs::path& folder) {
  const std::string message = without_folder(error.what(), folder);
  if (kind_of(error) == kRefusedForCredits)
    throw ApiError(429, "insufficient_quota", "insufficient_quota", message);
  if (kind_of(error) == kRefusedByLimit) throw ApiError(400, kInvalid, "plan_limit", message);
  switch (error.kind()) {
    case ErrorKind::Refused:
      throw ApiError(400, kInvalid, "moderation_blocked", message);
    case ErrorKind::Usage:
    case ErrorKind::Input:
    case ErrorKind::NotFound:
    case ErrorKind::Memory:
      throw ApiError(400, kInvalid, "invalid_value", message);
    default:
      throw ApiError(500, "server_error", "internal_error", message);
  }
}

// Of a job that failed, by its error's kind.
std::string failure_code(const std::string& kind) {
  if (kind == to_string(ErrorKind::Refused)) return "moderation_blocked";
  if (kind == kRefusedByLimit) return "plan_limit";
  if (kind == kRefusedForCredits) return "insufficient_quota";
  return "video_generation_failed";
}

std::string status_of(JobState state) {
  switch (state) {
    case JobState::Pending:
      return "queued";
    case JobState::Running:
    case JobState::Made:
      return "in_progress";
    case JobState::Done:
      return "completed";
    case JobState::Failed:
    case JobState::Cancelled:
      return "failed";
  }
  return "failed";
}

VideoRecord record_of(const Job& job, const fs::path& folder) {
  const nlohmann::json& asked = job.details.at("api");
  VideoRecord video;
  video.id = job.key;
  video.status = status_of(job.state);
  video.model = asked.value("model", "");
  video.prompt = asked.value("prompt", "");
  video.seconds = asked.value("seconds", "");
  video.size = asked.value("size", "");
  video.remixed_from = asked.value("remixed_from", "");
  video.progress = job.state == JobState::Done      ? 1
                   : job.state == JobState::Pending ? 0
                                                    : job.progress;
  video.created_at = static_cast<int64_t>(job.added_s);
  if (job.state == JobState::Done) video.completed_at = static_cast<int64_t>(job.finished_s);
  if (job.state == JobState::Cancelled) {
    video.error_code = "cancelled";
    video.error_message = "The job was cancelled.";
  } else if (job.state == JobState::Failed) {
    video.error_code = failure_code(job.error_kind);
    video.error_message = without_folder(job.error, folder);
  }
  return video;
}

// Removes an upload that no job came to name.
class Upload {
 public:
  explicit Upload(fs::path path) : path_(std::move(path)) {}
  ~Upload() {
    std::error_code gone;
    if (!path_.empty()) fs::remove(path_, gone);
  }
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
  void keep() { path_.clear(); }

 private:
  fs::path path_;
};

// Another name of the same file where the disk allows it, else a copy.
void link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (error) fs::copy_file(from, to, error);
  if (error) throw ApiError(500, "server_error", "internal_error", "The source cannot be kept.");
}

[[noreturn]] void fail_not_found(const std::string& id) {
  throw ApiError(404, kInvalid, "not_found", fmt::format("Video with id '{}' not found.", id),
                 "video_id");
}

}  // namespace

VideoJobs::VideoJobs(const fs::path& queue, std::vector<std::string> models,
                     std::vector<std::string> options, std::string plan, int64_t max_waiting)
    : folder_(queue),
      store_(folder_.journal()),
      maker_(folder_.journal(), plan),
      models_(std::move(models)),
      options_(std::move(options)),
      plan_(std::move(plan)),
      max_waiting_(max_waiting) {
  for (const Job& job : store_.list({})) {
    if (job.details.value(kDeleted, false)) unwanted_.insert(job.id);
  }
  forget_cancelled();
}

Account& VideoJobs::account_of(const ApiCaller& caller) {
  return maker_.account_of(caller.plan.empty() ? plan_ : caller.plan, caller.name);
}

void VideoJobs::check_caller(const ApiCaller& caller) {
  const std::lock_guard lock(mutex_);
  account_of(caller);
}

VideoRecord VideoJobs::create(const ApiCaller& caller, const VideoOrder& order) {
  Upload upload(order.image);
  const bool stands_in =
      order.model.empty() ||
      std::find(std::begin(kStandIns), std::end(kStandIns), order.model) != std::end(kStandIns);
  if (!stands_in && std::find(models_.begin(), models_.end(), order.model) == models_.end()) {
    throw ApiError(400, kInvalid, "model_not_found",
                   fmt::format("The model '{}' is not offered; there is {}.", order.model,
                               fmt::join(models_, ", ")),
                   "model");
  }
  Wish wish;
  wish.prompt = order.prompt;
  wish.model = order.model.empty() ? models_.front() : order.model;
  wish.seconds = order.seconds.empty() ? kDefaultSeconds : order.seconds;
  wish.upload = order.image;
  wish.command = {"generate"};
  wish.command.insert(wish.command.end(), options_.begin(), options_.end());
  wish.command.push_back("--model=" + (stands_in ? models_.front() : order.model));
  wish.command.push_back("--duration=" + wish.seconds);
  if (!order.size.empty()) wish.command.push_back("--size=" + order.size);
  if (!order.image.empty()) wish.command.push_back("--image=" + order.image);
  // A lone dash would be read from stdin.
  wish.command.insert(wish.command.end(), {"--", order.prompt == "-" ? " -" : order.prompt});
  VideoRecord video = add(caller, wish);
  upload.keep();
  return video;
}

VideoRecord VideoJobs::remix(const ApiCaller& caller, const std::string& id,
                             const std::string& prompt) {
  // Its own, so that it can be made also when the video it is of is deleted meanwhile.
  const std::string source = upload_path(".mp4");
  Upload upload(source);
  link_or_copy(file(caller, id), source);
  Wish wish;
  wish.upload = source;
  wish.prompt = prompt;
  {
    const std::lock_guard lock(mutex_);
    const nlohmann::json asked = job_of(caller, id).details.at("api");
    wish.model = asked.value("model", "");
    wish.seconds = asked.value("seconds", "");
  }
  const bool is_offered = std::find(models_.begin(), models_.end(), wish.model) != models_.end();
  wish.remixed_from = id;
  wish.command = {"remix"};
  wish.command.insert(wish.command.end(), options_.begin(), options_.end());
  wish.command.push_back("--model=" + (is_offered ? wish.model : models_.front()));
  wish.command.insert(wish.command.end(), {"--", source, prompt});
  VideoRecord video = add(caller, wish);
  upload.keep();
  return video;
}

// Planned and paid for before it is accepted, as everywhere else.
VideoRecord VideoJobs::add(const ApiCaller& caller, const Wish& wish) {
  const std::lock_guard lock(mutex_);
  try {
    forget_cancelled();
    if (store_.counts({.owner = caller.name}).pending >= max_waiting_)
      throw ApiError(
          429, "rate_limit_error", "rate_limit_exceeded",
          fmt::format("{} videos wait already, as many as one caller may have.", max_waiting_));
    NewJob job;
    job.command = wish.command;
    job.command.insert(job.command.begin() + 1, fmt::format("--seed={}", std::random_device()()));
    const MakeClips make = parse_job(job.command);
    const ClipShape shape = engine().plan(make.request).shape;
    Account& account = account_of(caller);
    int64_t promised = 0;
    for (const Job& waiting : store_.list({.owner = caller.name, .state = JobState::Pending}))
      promised += waiting.details.value("credits", int64_t{0});
    const int64_t credits = account.check(shape, Lane::Priority, promised).credits;
    job.key = random_id("video_");
    job.output = job.key + ".mp4";
    job.model = make.request.runtime.model + " " + make.request.runtime.dtype;
    job.place = "serve";
    job.owner = caller.name;
    job.max_running = account.plan().max_concurrent;
    job.details = {{"directory", fs::current_path().string()},
                   {"plan", account.plan().reference()},
                   {"credits", credits},
                   {"api",
                    {{"prompt", wish.prompt},
                     {"model", wish.model},
                     {"seconds", wish.seconds},
                     {"size", to_string(shape.size)},
                     {"upload", wish.upload},
                     {"remixed_from", wish.remixed_from}}}};
    return record_of(*store_.find(store_.add(job)), folder_.root());
  } catch (const Error& error) {
    refuse(error, folder_.root());
  }
}

bool VideoJobs::belongs_to(const Job& job, const ApiCaller& caller) const {
  return job.owner == caller.name && job.details.contains("api") && unwanted_.count(job.id) == 0;
}

Job VideoJobs::job_of(const ApiCaller& caller, const std::string& id) {
  const std::optional<Job> job = store_.find_by_key(id);
  if (!job || !belongs_to(*job, caller)) fail_not_found(id);
  return *job;
}

VideoRecord VideoJobs::find(const ApiCaller& caller, const std::string& id) {
  const std::lock_guard lock(mutex_);
  return record_of(job_of(caller, id), folder_.root());
}

VideoPage VideoJobs::list(const ApiCaller& caller, const std::string& after, int64_t limit,
                          bool ascending) {
  const std::lock_guard lock(mutex_);
  forget_cancelled();
  std::vector<Job> jobs = store_.list({.owner = caller.name});
  std::erase_if(jobs, [&](const Job& job) { return !belongs_to(job, caller); });
  if (!ascending) std::reverse(jobs.begin(), jobs.end());
  auto next = jobs.begin();
  if (!after.empty()) {
    next = std::find_if(jobs.begin(), jobs.end(), [&](const Job& job) { return job.key == after; });
    if (next == jobs.end()) fail_not_found(after);
    ++next;
  }
  VideoPage page;
  for (; next != jobs.end() && static_cast<int64_t>(page.videos.size()) < limit; ++next)
    page.videos.push_back(record_of(*next, folder_.root()));
  page.has_more = next != jobs.end();
  return page;
}

std::string VideoJobs::file(const ApiCaller& caller, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const Job job = job_of(caller, id);
  if (job.state != JobState::Done || job.files.empty())
    throw ApiError(400, kInvalid, "video_not_ready",
                   fmt::format("The video is {}, not completed.", status_of(job.state)),
                   "video_id");
  return (fs::absolute(folder_.root()) / job.files.front().name).string();
}

void VideoJobs::remove_files(const Job& job) {
  std::error_code gone;
  for (const JobFile& each : job.files) fs::remove(folder_.root() / each.name, gone);
  const std::string upload = job.details.at("api").value("upload", "");
  if (!upload.empty()) fs::remove(upload, gone);
}

void VideoJobs::remove(const ApiCaller& caller, const std::string& id) {
  const std::lock_guard lock(mutex_);
  Job job = job_of(caller, id);
  job.details[kDeleted] = true;  // also for a server that is started before it has stopped
  store_.set_details(job.id, job.details);
  store_.cancel(job.id);  // a running one stops at its next step
  unwanted_.insert(job.id);
  forget_cancelled();
}

void VideoJobs::forget_cancelled() {
  for (auto id = unwanted_.begin(); id != unwanted_.end();) {
    const std::optional<Job> job = store_.find(*id);
    const bool is_gone = !job || (!is_under_way(job->state) && store_.remove(*id));
    if (is_gone && job) {
      folder_.forget_unmade(job->id);
      remove_files(*job);
    }
    id = is_gone ? unwanted_.erase(id) : std::next(id);
  }
}

std::string VideoJobs::upload_path(const std::string& extension) {
  const fs::path folder = fs::absolute(folder_.root()) / ".sora" / "uploads";
  fs::create_directories(folder);
  return (folder / (random_id("upload_") + extension)).string();
}

}  // namespace sora::cli
