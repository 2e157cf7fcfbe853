#include "lib/jobs/worker.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "lib/core/internal_error.h"

namespace sora {
namespace {

constexpr auto kTick = std::chrono::seconds(1);
constexpr int kTicksBetweenRenewals = 15;
constexpr auto kIdlePause = std::chrono::milliseconds(200);

// A share of the whole job, for one number to show: what comes before and after denoising is short.
// Loading, which happens at several points, has none of its own.
double whole_progress(Phase phase, double share) {
  switch (phase) {
    case Phase::Load:
    case Phase::EncodeText:
      return 0.02;
    case Phase::EncodeSource:
      return 0.02 + 0.08 * share;
    case Phase::Denoise:
      return 0.1 + 0.7 * share;
    case Phase::Decode:
      return 0.8 + 0.18 * share;
    case Phase::Write:
      return 0.98 + 0.02 * share;
  }
  return 0;
}

bool may_heal(ErrorKind kind) {
  return kind == ErrorKind::Io || kind == ErrorKind::Memory || kind == ErrorKind::Internal;
}

// Renews the lease of the job at hand and hears of its loss and of the job's cancellation, on a
// thread and connection of its own.
class LeaseKeeper {
 public:
  LeaseKeeper(const std::filesystem::path& store, const Observer& observer,
              std::function<void()> stop_now)
      : store_(store),
        observer_(observer),
        stop_now_(std::move(stop_now)),
        thread_([this] { run(); }) {}
  ~LeaseKeeper() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void hold(int64_t job) {
    const std::lock_guard lock(mutex_);
    job_ = job;
    cancelled_ = false;
    lost_ = false;
    tell(Phase::Load, 0);  // else the first renewal might tell how far the job before it was
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    job_ = 0;
  }
  void tell(Phase phase, double progress) {
    phase_ = phase;
    progress_ = progress;
  }
  double progress() const { return progress_; }
  bool cancelled() const { return cancelled_; }
  bool lost() const { return lost_; }  // to a process that took this one for dead

 private:
  void run() {
    int ticks = 0;
    int ticks_since_stop = 0;
    double told = -1;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kTick, [&] { return ending_; })) {
      if (job_ == 0) continue;
      const int64_t job = job_;
      const double progress = progress_;
      try {
        // Under the lock: let_go() returns only when no renewal of that job is under way.
        if (progress != told || ++ticks >= kTicksBetweenRenewals) {
          if (!store_.renew(job, std::string(to_string(phase_.load())), progress)) lost_ = true;
          told = progress;
          ticks = 0;
        }
        if (store_.cancel_wanted(job)) cancelled_ = true;
        if (observer_.stop_requested() && ++ticks_since_stop > kStopPatience_s) {
          store_.release_unmade(job);
          stop_now_();
        }
      } catch (const Error&) {
        // The worker meets the same trouble at its next step and reports it.
      }
    }
  }

  JobStore store_;
  const Observer& observer_;
  std::function<void()> stop_now_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  int64_t job_ = 0;
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> lost_ = false;
  std::atomic<Phase> phase_ = Phase::Load;
  std::atomic<double> progress_ = 0;
  std::thread thread_;
};

class JobObserver : public Observer {
 public:
  JobObserver(WorkerDisplay& display, LeaseKeeper& lease) : display_(display), lease_(lease) {}

  void begin(Phase phase, int64_t total_steps) override {
    total_ = total_steps;
    tell(phase, 0);
    display_.begin(phase, total_steps);
  }
  void advance(Phase phase, int64_t steps_done) override {
    tell(phase, total_ > 0 ? static_cast<double>(steps_done) / static_cast<double>(total_) : 0);
    display_.advance(phase, steps_done);
  }
  void notice(std::string_view sentence) override { display_.notice(sentence); }
  bool stop_requested() const override {
    return display_.stop_requested() || lease_.cancelled() || lease_.lost();
  }

 private:
  void tell(Phase phase, double share) {
    lease_.tell(phase, phase == Phase::Load ? lease_.progress() : whole_progress(phase, share));
  }

  WorkerDisplay& display_;
  LeaseKeeper& lease_;
  int64_t total_ = 0;
};

class Worker {
 public:
  Worker(JobStore& store, const std::filesystem::path& store_path, const OutputFolder& folder,
         JobMaker& maker, WorkerDisplay& display, const WorkerOptions& options)
      : store_(store),
        folder_(folder),
        maker_(maker),
        display_(display),
        options_(options),
        lease_(store_path, display, options.stop_now),
        observer_(display, lease_) {}

  WorkerEnd run() {
    for (;;) {
      if (display_.stop_requested()) return WorkerEnd::Stopped;
      const std::optional<Job> job = store_.claim({options_.batch, model_});
      if (!job) {
        if (!options_.wait_for_more()) return WorkerEnd::Finished;
        std::this_thread::sleep_for(kIdlePause);
        continue;
      }
      model_ = job->model;
      lease_.hold(job->id);
      display_.job_started(*job);
      const JobState state = make(*job);
      lease_.let_go();
      const std::optional<Job> ended = store_.find(job->id);
      // Where the lease was lost another process has it in hand now.
      if (ended && !is_under_way(ended->state)) display_.job_ended(*ended);
      if (state == JobState::Running) return WorkerEnd::Stopped;
      if (state == JobState::Failed && !options_.keep_going) return WorkerEnd::Failed;
    }
  }

 private:
  // What became of it; Running: it was to stop, and is pending again.
  JobState make(const Job& job) {
    try {
      if (options_.force) folder_.forget_latents(job.id);
      prepare(job);
      const std::filesystem::path stage = folder_.stage(job.id, job.key);
      const nlohmann::json result = maker_.make(job, stage, observer_);
      const auto sha256 = [&](const std::filesystem::path& path) { return maker_.sha256(path); };
      const std::vector<JobFile> files = folder_.staged_files(job.id, sha256);
      folder_.remove_unaltered(job.files, sha256);  // what is left of when it was made before
      if (!store_.mark_made(job.id, files, result)) return leave_to_another(job);
      if (options_.credits != nullptr) options_.credits->settle(store_, with_result(job, result));
      store_.mark_done(job.id, folder_.publish(job.id, files, options_.force || job.force));
      return JobState::Done;
    } catch (const Error& error) {
      return end_without_clip(job, error);
    } catch (const std::bad_alloc&) {
      return end_without_clip(
          job,
          {ErrorKind::Memory, "the machine ran out of memory; try a smaller size or fewer frames"});
    } catch (const std::exception& error) {
      return end_without_clip(job, internal_error(error));
    }
  }

  static Job with_result(Job job, nlohmann::json result) {
    job.result = std::move(result);
    return job;
  }

  // Whose lease was lost: stage, latents and row are those of the process that makes it now.
  JobState leave_to_another(const Job& job) {
    if (options_.credits != nullptr) options_.credits->refund(store_, job);
    return JobState::Cancelled;
  }

  bool is_lost(const Job& job) {
    if (lease_.lost()) return true;
    try {
      return !store_.holds(job.id);
    } catch (const Error&) {  // what the job has met is told, not this
      return false;
    }
  }

  JobState end_without_clip(const Job& job, const Error& error) {
    if (is_lost(job)) return leave_to_another(job);
    const bool is_full = dynamic_cast<const DiskFull*>(&error) != nullptr ||
                         (error.kind() == ErrorKind::Io && !folder_.takes_files());
    folder_.clear_stage(job.id);
    if (options_.credits != nullptr) options_.credits->refund(store_, job);
    if (error.kind() == ErrorKind::Cancelled && !display_.stop_requested() && lease_.cancelled()) {
      folder_.forget_latents(job.id);
      store_.mark_cancelled(job.id);
      return JobState::Cancelled;
    }
    if (error.kind() == ErrorKind::Cancelled) {
      store_.release(job.id);
      return JobState::Running;
    }
    if (is_full) {
      store_.release(job.id);  // throws as well where the store lies on the same disk; recover()
                               // frees the job then
      throw error;
    }
    if (!may_heal(error.kind())) folder_.forget_latents(job.id);
    return store_.mark_failed(job.id, error, may_heal(error.kind()));
  }

  // Once for each stretch of jobs, so that what they share is done once.
  void prepare(const Job& job) {
    if (prepared_.erase(job.id) > 0) return;
    std::vector<Job> stretch = {job};
    for (Job& next : store_.upcoming({options_.batch, job.model}, options_.prepare_ahead - 1)) {
      if (next.model == job.model) stretch.push_back(std::move(next));
    }
    maker_.prepare(stretch, observer_);
    prepared_.clear();
    for (const Job& next : stretch) {
      if (next.id != job.id) prepared_.insert(next.id);
    }
  }

  JobStore& store_;
  const OutputFolder& folder_;
  JobMaker& maker_;
  WorkerDisplay& display_;
  const WorkerOptions& options_;
  LeaseKeeper lease_;
  JobObserver observer_;
  std::string model_;
  std::set<int64_t> prepared_;
};

}  // namespace

WorkerEnd work(JobStore& store, const OutputFolder& folder, JobMaker& maker, WorkerDisplay& display,
               const WorkerOptions& options) {
  return Worker(store, store.path(), folder, maker, display, options).run();
}

void recover(JobStore& store, const OutputFolder& folder, WorkerDisplay& display, bool force,
             JobStore::Losses losses, JobStore::Recover which, JobCredits* credits) {
  const JobStore::Recovered recovered = store.recover(losses, which);
  for (const Job& job : recovered.ended) {
    folder.forget_unmade(job.id);
    if (credits != nullptr) credits->lost(store, job);
    display.job_ended(job);
  }
  for (const Job& job : recovered.made) {
    try {
      if (credits != nullptr) credits->settle(store, job);
      store.mark_done(job.id, folder.publish(job.id, job.files, force || job.force));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::Io && !folder.takes_files()) throw;
      if (credits != nullptr) credits->refund(store, job);
      store.mark_failed(job.id, error, false);
    }
    if (const std::optional<Job> ended = store.find(job.id)) display.job_ended(*ended);
  }
}

}  // namespace sora
