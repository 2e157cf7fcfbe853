// One order of things: read the whole file, check every job against its model, write all jobs into
// the journal, and only then make clips.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <unistd.h>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

#include "cli/batch.h"
#include "cli/batch_display.h"
#include "cli/batch_jobs.h"
#include "cli/batch_on_slurm.h"
#include "cli/engine_maker.h"
#include "cli/payment.h"
#include "cli/results.h"
#include "cli/run.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "cli/worker_processes.h"
#include "lib/core/error.h"
#include "lib/jobs/job_store.h"
#include "lib/jobs/output_folder.h"

namespace sora::cli {
namespace {

namespace fs = std::filesystem;

// How a worker process is told that it may make any job of the journal.
constexpr const char* kAnyBatch = "*";

constexpr auto kBatchPoll = std::chrono::milliseconds(200);
constexpr auto kWatchInterval = std::chrono::seconds(1);
constexpr double kBytesPerMiB = 1024.0 * 1024.0;

std::string read_text(const RunBatch& batch) {
  if (batch.file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream file(batch.file, std::ios::binary);
  if (!file || fs::is_directory(batch.file)) {
    fail(ErrorKind::NotFound,
         "the prompt file {} cannot be read; options for all jobs follow the file: sora batch FILE "
         "--steps 20",
         batch.file);
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  return fmt::format("{:%Y-%m-%d}", fmt::localtime(now));
}

fs::path folder_of(const RunBatch& batch) {
  if (!batch.folder.empty()) return batch.folder;
  return batch.file == "-" ? fs::path("clips")
                           : fs::path(fs::path(batch.file).stem().string() + "-clips");
}

// What the journal calls this batch.
std::string name_of(const RunBatch& batch) {
  std::string name = batch.file == "-" ? "stdin" : fs::weakly_canonical(batch.file).string();
  if (batch.num_shards > 1) name += fmt::format(" {}/{}", batch.shard, batch.num_shards);
  return name;
}

JobList read_jobs(const RunBatch& batch, std::string text) {
  if (batch.watch)
    text.erase(text.rfind('\n') == std::string::npos
                   ? 0
                   : text.rfind('\n') + 1);  // the last line may still grow
  const std::string shown = batch.file == "-" ? "stdin" : batch.file;
  PromptFormat format = prompt_format_of(batch.file, text);
  if (!batch.format.empty()) {
    const auto named = prompt_format_named(batch.format);
    if (!named)
      fail(ErrorKind::Usage, "--format {} is unknown; it is txt, jsonl, csv or yaml", batch.format);
    format = *named;
  }
  const fs::path base =
      batch.file == "-" ? fs::current_path() : fs::absolute(batch.file).parent_path();
  JobList list = jobs_of(parse_prompts(text, shown, format),
                         {shown, base, batch.defaults, batch.name_template, today()});
  if (batch.num_shards > 1) {
    std::vector<PlannedJob> share;
    for (size_t i = static_cast<size_t>(batch.shard); i < list.jobs.size();
         i += static_cast<size_t>(batch.num_shards))
      share.push_back(std::move(list.jobs[i]));
    list.jobs = std::move(share);
  }
  for (PlannedJob& planned : list.jobs) planned.job.max_tries = batch.retries + 1;
  return list;
}

struct Totals {
  int64_t frames = 0;
  double seconds = 0;
  int64_t memory_bytes = 0;
  int64_t credits = 0;
};

// What a job is to become, by the engine's own plan; faults and, for `strict`, what the plan would
// change.
class PlanCheck {
 public:
  PlanCheck(const RunBatch& batch, EngineMaker& maker, const std::string& file)
      : batch_(batch), engine_(maker.engine()), account_(maker.account_of(batch.plan, "")), file_(file) {}

  // A job that is done already costs nothing.
  void check(const PlannedJob& planned, bool is_done = false) {
    try {
      Request request = with_recipe(planned.make, engine_);
      request.output.path = planned.job.output;
      const PlanReport plan = engine_.plan(request);
      totals.frames += plan.json.at("output").at("num_frames").get<int64_t>();
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

  // What the whole costs, and what there is. Too few credits are a fault.
  Quote check_credits() {
    Quote quote{totals.credits, {}, ""};
    if (!account_.is_counted()) return quote;
    const Balance balance = account_.balance();
    quote.left = *account_.plan().credits_per_month - balance.used;
    quote.month = balance.month;
    if (totals.credits <= *quote.left) return quote;
    const auto num_fitting = std::upper_bound(running_totals_.begin(), running_totals_.end(), *quote.left) - running_totals_.begin();
    faults.push_back({file_, {}, ErrorKind::Refused,
                      fmt::format("the batch costs {} credits, and {} of the plan {}'s {} for {} are left; its first {} jobs would fit; "
                                  "new credits come on {}",
                                  totals.credits, *quote.left, account_.plan().name, *account_.plan().credits_per_month,
                                  month_name(quote.month), num_fitting, next_month_day(quote.month))});
    return quote;
  }

  const Account& account() const { return account_; }

  Totals totals;
  std::vector<Fault> faults;
  std::vector<Fault> notices;

 private:
  const RunBatch& batch_;
  Engine& engine_;
  Account& account_;
  std::string file_;
  std::vector<int64_t> running_totals_;  // of credits, after each job
};

void show_faults(const std::vector<Fault>& faults, const Display& display) {
  for (const Fault& fault : faults) {
    fmt::print(stderr, "{}\n", printable(to_string(fault)));
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

[[noreturn]] void fail_with_faults(const std::vector<Fault>& faults, const Display& display) {
  show_faults(faults, display);
  fail(faults.front().kind, "{} {} in the batch; nothing was made", faults.size(),
       faults.size() == 1 ? "fault" : "faults");
}

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
    std::string words;
    for (const std::string& word : planned.job.command) words += (words.empty() ? "" : " ") + word;
    write_result(
        printable(fmt::format("{}: {} <- {}", planned.job.place, planned.job.output, words)) +
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

// A batch whose jobs are in the journal.
class BatchRun {
 public:
  BatchRun(const RunBatch& batch, const Display& display, EngineMaker& maker)
      : batch_(batch),
        display_(display),
        maker_(maker),
        name_(batch.file.empty() ? "" : name_of(batch)),
        folder_(folder_of(batch)),
        store_(folder_.journal()),
        cluster_(batch, name_, store_, folder_) {
    cluster_.look_at_earlier();
  }

  // Checks and adds; faults are returned and leave the journal as it was.
  std::vector<Fault> add(JobList& list) {
    if (!list.faults.empty()) return list.faults;
    PlanCheck check(batch_, maker_, batch_.file == "-" ? "stdin" : batch_.file);
    std::vector<int64_t> again;
    std::vector<NewJob> jobs;
    num_skipped_ = 0;
    for (PlannedJob& planned : list.jobs) {
      const std::optional<Job> known = store_.find_by_key(planned.job.key);
      if (known) planned.job.output = known->output;
      if (known && known->state == JobState::Done && !batch_.force &&
          is_done(*known, planned, check.faults)) {
        ++num_skipped_;
      } else if (!known || (known->state != JobState::Running && known->state != JobState::Made)) {
        if (known && known->state != JobState::Pending) again.push_back(known->id);
        if (!known || known->state != JobState::Done) check_name_is_free(planned, check.faults);
        check.check(planned);
      }
      jobs.push_back(planned.job);
    }
    check.check_credits();
    if (!check.faults.empty()) return check.faults;
    for (const Fault& notice : check.notices) notices_.push_back(notice);
    store_.set_batch(name_, jobs);
    for (const int64_t id : again) store_.retry(id);
    return {};
  }

  void resume_all() {
    for (const JobState state : {JobState::Failed, JobState::Cancelled}) {
      for (const Job& job : store_.list({.state = state})) store_.retry(job.id);
    }
    num_skipped_ = store_.counts({}).done;
  }

  void run() {
    if (!batch_.on.empty() && !batch_.wait) return hand_in();
    if (batch_.on.empty() && cluster_.num_lent() > 0) {
      fail(ErrorKind::Usage, "{} jobs of this folder are with Slurm; follow them with --on slurm --wait, or end them with scancel",
           cluster_.num_lent());
    }
    const JobCounts before = store_.counts({.batch = name_});
    BatchDisplay shown(display_, folder_.root(), before.total(), num_skipped_);
    for (const Fault& notice : notices_) shown.say("note: " + to_string(notice));
    WorkerEnd end = WorkerEnd::Finished;
    std::optional<Error> trouble;
    try {
      recover(store_, folder_, shown, batch_.force, nullptr, JobStore::Recover::DeadLeases, &maker_);
      end = !batch_.on.empty()        ? cluster_.follow(shown)
            : batch_.processes == 1 ? run_here(shown)
                                    : run_processes(shown);
    } catch (const Error& error) {
      trouble = error;
    }
    if (trouble) throw *trouble;
    const JobCounts counts = store_.counts({.batch = name_});
    shown.summary(counts);
    if (end == WorkerEnd::Stopped || stop_signalled()) {
      if (!termination_signalled()) fail(ErrorKind::Cancelled, "interrupted");
      fail(ErrorKind::Stopped, "stopped with {} of {} jobs done; the same command goes on",
           counts.done, counts.total());
    }
    if (counts.failed > 0) {
      fail(ErrorKind::BatchFailed, "{} of {} jobs failed; the same command tries them again",
           counts.failed, counts.total());
    }
  }

 private:
  // The array's number on stdout, as sbatch prints it.
  void hand_in() {
    recover(store_, folder_, *std::make_unique<WorkerDisplay>(), batch_.force, nullptr, JobStore::Recover::DeadLeases, &maker_);
    const std::optional<std::string> number = cluster_.submit();
    if (display_.json) {
      nlohmann::json object = {{"schema", 1}, {"array", nullptr}, {"jobs_with_slurm", cluster_.num_lent()}, {"done", num_skipped_}};
      if (number) object["array"] = *number;
      return write_json(object);
    }
    if (number) return write_result(*number + "\n");
    if (!display_.quiet) fmt::print(stderr, "nothing to hand in: {} jobs are with Slurm already\n", cluster_.num_lent());
  }

  // Whether nothing is to be done; a file that was altered since is a fault, one that is gone is
  // made again.
  bool is_done(const Job& known, const PlannedJob& planned, std::vector<Fault>& faults) {
    if (folder_.matches(known.files, [&](const auto& path) { return maker_.sha256(path); }))
      return true;
    for (const JobFile& file : known.files) {
      if (!folder_.exists(file.name)) continue;
      faults.push_back(
          {planned.job.place.substr(0, planned.job.place.rfind(':')), planned.at, ErrorKind::Usage,
           fmt::format(
               "{} has changed since it was made; move it away, or --force to make it again",
               file.name)});
      return true;
    }
    return false;
  }

  void check_name_is_free(const PlannedJob& planned, std::vector<Fault>& faults) {
    const std::string file = planned.job.place.substr(0, planned.job.place.rfind(':'));
    try {
      if (const std::optional<Job> other =
              store_.other_maker_of(planned.job.output, planned.job.key, name_)) {
        faults.push_back({file, planned.at, ErrorKind::Usage,
                          fmt::format("the output {} is that of another batch in this folder ({})",
                                      planned.job.output, other->place)});
      } else if (!batch_.force && folder_.exists(planned.job.output)) {
        faults.push_back(
            {file, planned.at, ErrorKind::Usage,
             fmt::format("{} exists already; choose another name, or --force to replace it",
                         (folder_.root() / planned.job.output).string())});
      }
    } catch (const Error& error) {
      faults.push_back({file, planned.at, error.kind(), error.what()});
    }
  }

  // True while jobs of this batch are not at their end: those that wait for another try, and those
  // of other processes.
  bool is_unfinished(BatchDisplay& shown) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_recovery_ > kWatchInterval) {
      last_recovery_ = now;
      recover(store_, folder_, shown, batch_.force, nullptr, JobStore::Recover::DeadLeases, &maker_);
      read_more(shown);
    }
    const JobCounts counts = store_.counts({.batch = name_});
    return counts.pending + counts.running > 0 || (batch_.watch && !shown.stop_requested());
  }

  // The file may have grown.
  void read_more(BatchDisplay& shown) {
    if (!batch_.watch) return;
    std::error_code error;
    const auto changed = fs::last_write_time(batch_.file, error);
    if (error || changed == last_change_) return;
    last_change_ = changed;
    JobList list = read_jobs(batch_, read_text(batch_));
    show_faults(add(list), display_);
    shown.set_num_jobs(store_.counts({.batch = name_}).total());
  }

  WorkerEnd run_here(BatchDisplay& shown) {
    WorkerOptions options;
    options.batch = name_;
    options.keep_going = batch_.keep_going;
    options.force = batch_.force;
    options.wait_for_more = [&] { return is_unfinished(shown); };
    options.credits = &maker_;
    options.stop_now = [] { ::_exit(exit_code(ErrorKind::Stopped)); };
    return work(store_, folder_, maker_, shown, options);
  }

  WorkerEnd run_processes(BatchDisplay& shown) {
    std::vector<std::string> arguments = {
        "batch", "--worker-of",           name_.empty() ? kAnyBatch : name_,
        "-o",    folder_.root().string(), "--quiet"};
    if (batch_.keep_going) arguments.push_back("--keep-going");
    if (batch_.force) arguments.push_back("--force");
    if (batch_.watch) arguments.push_back("--watch");
    if (!batch_.plan.empty()) arguments.insert(arguments.end(), {"--plan", batch_.plan});
    const int64_t pending = store_.counts({.batch = name_}).pending;
    const int count = batch_.watch ? batch_.processes
                                   : static_cast<int>(std::min<int64_t>(batch_.processes, pending));
    int64_t told = store_.last_finish_number();
    WorkerProcesses workers(count, arguments);
    std::map<int64_t, int> losses;
    bool stopping = false;
    int worst_code = 0;
    for (;;) {
      if (shown.stop_requested() && !stopping) {
        stopping = true;
        workers.signal(SIGTERM);
      }
      bool lost = false;
      for (const WorkerProcesses::End& end : workers.collect()) {
        lost = lost || end.exit_code < 0;
        if (end.exit_code > 0) worst_code = end.exit_code;
      }
      if (lost) recover(store_, folder_, shown, batch_.force, &losses, JobStore::Recover::DeadLeases, &maker_);
      for (const Job& job : store_.finished_after(name_, told)) {
        told = job.finish_number;
        shown.job_ended(job);
      }
      const bool failed = worst_code != 0 && !stopping;
      if (failed) {
        stopping = true;
        workers.signal(SIGTERM);
      }
      if (workers.num_running() == 0) {
        if (stopping || !is_unfinished(shown)) break;
      }
      if (!stopping && lost) workers.start_missing();
      if (!stopping && batch_.watch) is_unfinished(shown);
      std::this_thread::sleep_for(kBatchPoll);
    }
    if (worst_code == exit_code(ErrorKind::Io))
      fail(ErrorKind::Io, "a process could not write; see above");
    if (shown.stop_requested()) return WorkerEnd::Stopped;
    return worst_code != 0 ? WorkerEnd::Failed : WorkerEnd::Finished;
  }

  const RunBatch& batch_;
  const Display& display_;
  EngineMaker& maker_;
  std::string name_;
  OutputFolder folder_;
  JobStore store_;
  SlurmBatch cluster_;
  std::vector<Fault> notices_;
  int64_t num_skipped_ = 0;
  std::chrono::steady_clock::time_point last_recovery_;
  fs::file_time_type last_change_ = {};
};

// One of the processes of a batch: works on its jobs until there are none, and says nothing. A task of a cluster alone has
// its store, so what an earlier process left there is its own; what it says goes into its log.
void run_as_worker(const RunBatch& batch, const Display& display) {
  class Silent : public WorkerDisplay {
    bool stop_requested() const override { return stop_signalled(); }
  } silent;
  const OutputFolder folder(batch.folder);
  const bool is_task = !batch.store.empty();
  if (is_task && !fs::exists(batch.store)) fail(ErrorKind::NotFound, "{} is gone; its jobs were taken back", batch.store);
  JobStore store(is_task ? fs::path(batch.store) : folder.journal());
  const JobCounts counts = store.counts({});
  BatchDisplay log(display, folder.root(), counts.total(), counts.done);
  WorkerDisplay& shown = is_task ? static_cast<WorkerDisplay&>(log) : silent;
  EngineMaker maker(store.path(), batch.plan);
  if (is_task) recover(store, folder, shown, batch.force, nullptr, JobStore::Recover::AllLeases, &maker);
  WorkerOptions options;
  options.batch = batch.worker_of == kAnyBatch ? "" : batch.worker_of;
  options.keep_going = batch.keep_going;
  options.force = batch.force;
  options.wait_for_more = [&] {
    return !stop_signalled() && (batch.watch || store.counts({.batch = options.batch}).pending > 0);
  };
  options.stop_now = [] { ::_exit(exit_code(ErrorKind::Stopped)); };
  options.credits = &maker;
  const WorkerEnd end = work(store, folder, maker, shown, options);
  if (end == WorkerEnd::Failed)
    ::_exit(exit_code(ErrorKind::BatchFailed));  // the first process tells
  if (end == WorkerEnd::Stopped) ::_exit(exit_code(ErrorKind::Stopped));
}

// A dry run looks at a journal that is there and makes none.
void plan_only(const RunBatch& batch, JobList& list, EngineMaker& maker, const Display& display) {
  PlanCheck check(batch, maker, batch.file == "-" ? "stdin" : batch.file);
  int64_t num_done = 0;
  const fs::path folder = folder_of(batch);
  const bool has_journal = fs::exists(folder / ".sora" / "journal.sqlite");
  std::optional<JobStore> store;
  if (has_journal) store.emplace(folder / ".sora" / "journal.sqlite");
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

}  // namespace

void run_action(const RunBatch& batch, const Display& display) {
  if (!batch.worker_of.empty()) return run_as_worker(batch, display);
  JobList list;
  if (!batch.file.empty()) list = read_jobs(batch, read_text(batch));
  if (!batch.dry_run && !list.faults.empty() && list.jobs.empty())
    fail_with_faults(list.faults, display);
  EngineMaker maker(folder_of(batch) / ".sora" / "journal.sqlite", batch.plan);
  if (batch.dry_run) return plan_only(batch, list, maker, display);

  // Faults of the plan are told together with those of the file.
  if (!list.faults.empty()) {
    PlanCheck check(batch, maker, list.faults.front().file);
    for (const PlannedJob& planned : list.jobs) check.check(planned);
    std::vector<Fault> faults = list.faults;
    faults.insert(faults.end(), check.faults.begin(), check.faults.end());
    std::stable_sort(faults.begin(), faults.end(),
                     [](const Fault& a, const Fault& b) { return a.at < b.at; });
    fail_with_faults(faults, display);
  }
  BatchRun run(batch, display, maker);
  if (batch.file.empty()) {
    run.resume_all();
  } else if (const std::vector<Fault> faults = run.add(list); !faults.empty()) {
    fail_with_faults(faults, display);
  }
  run.run();
}

void run_action(const ShowBatch& show, const Display& display) {
  const fs::path journal = fs::path(show.folder) / ".sora" / "journal.sqlite";
  if (!fs::exists(journal))
    fail(ErrorKind::NotFound, "{} has no batch in it; there is no {}", show.folder,
         journal.string());
  JobStore store(journal);
  std::map<int64_t, Job> on_cluster;
  for (LentJobs& lent : LentJobs::all(OutputFolder(show.folder))) {
    lent.collect(store);
    on_cluster.merge(lent.under_way());
  }
  std::vector<Job> jobs = store.list({});
  for (Job& job : jobs) {
    if (const auto found = on_cluster.find(job.id); found != on_cluster.end()) job = found->second;
  }
  if (display.json) {
    for (const Job& job : jobs) write_json({{"job", to_json(job, show.folder)}});
    return write_json({{"summary", to_json(store.counts({}))}});
  }
  for (const Job& job : jobs) {
    std::string note;
    if (job.state == JobState::Running)
      note = fmt::format("{:.0f} % {}", job.progress * 100, job.phase);
    if (job.state == JobState::Failed || job.state == JobState::Pending) note = job.error;
    if (on_cluster.count(job.id) > 0) note += note.empty() ? "with Slurm" : ", with Slurm";
    write_result(printable(fmt::format("{:<9} {} ({}) {}", to_string(job.state), job.output,
                                       job.place, note)) +
                 "\n");
  }
  for (const auto& [name, counts] : store.counts_by_batch()) {
    write_result(printable(fmt::format("{}: {} of {} done, {} running, {} to do, {} failed", name,
                                       counts.done, counts.total(), counts.running, counts.pending,
                                       counts.failed)) +
                 "\n");
  }
}

}  // namespace sora::cli
