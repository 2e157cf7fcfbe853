// A queue is a folder with a journal, as a batch has one; its jobs come one by one and belong to no
// prompt file.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "cli/actions/queue.h"
#include "cli/batch/display.h"
#include "cli/engine_library.h"
#include "cli/engine_maker.h"
#include "cli/results.h"
#include "cli/run.h"
#include "cli/signals.h"
#include "cli/terminal/preview.h"
#include "cli/terminal/terminal.h"
#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/jobs/account.h"
#include "lib/jobs/name_template.h"

namespace sora::cli {
namespace {

namespace fs = std::filesystem;

std::string prompt_of(const Request& request) {
  return std::visit([](const auto& operation) { return operation.prompt; }, request.operation);
}

Job find(JobStore& store, int64_t id) {
  const std::optional<Job> job = store.find(id);
  if (!job) fail(ErrorKind::NotFound, "there is no job {} in this queue; see sora queue list", id);
  return *job;
}

void check_is_text(const std::string& text) {
  if (!is_valid_utf8(text)) {
    fail(ErrorKind::Usage,
         "{} is not UTF-8; a queued command is kept as text, give the file another name", text);
  }
}

// The command with the text of stdin in place of a prompt of "-". Throws Error(Usage) where "-"
// stands for anything else.
std::vector<std::string> with_stdin(std::vector<std::string> command) {
  const auto at = std::find(command.begin(), command.end(), "-");
  if (at == command.end()) return command;
  std::vector<std::string> named = command;
  const std::string stand_in = "what stdin says";
  std::replace(named.begin(), named.end(), std::string("-"), stand_in);
  const bool is_prompt = std::count(command.begin(), command.end(), "-") == 1 &&
                         prompt_of(parse_job(named).request) == stand_in;
  if (!is_prompt) {
    fail(ErrorKind::Usage,
         "a queued job is made later, without this stdin and stdout; name a file instead of -");
  }
  const std::string prompt = prompt_of(parse_job(command).request);
  command.erase(at);
  if (std::find(command.begin(), command.end(), "--") == command.end()) command.push_back("--");
  command.push_back(prompt);
  return command;
}

// What jobs that wait for their turn have been promised.
int64_t promised_credits(JobStore& store, const std::string& owner) {
  int64_t credits = 0;
  for (const Job& job : store.list({.owner = owner, .state = JobState::Pending}))
    credits += job.details.value("credits", int64_t{0});
  return credits;
}

// The job's plan, written down so that whoever makes it holds to it; refused here where it cannot
// be kept.
void agree_on_plan(const MakeClips& make, JobStore& store, NewJob& job) {
  Account account(load_plan(make.plan), job.owner);
  job.details["plan"] = account.plan().reference();
  job.max_running = account.plan().max_concurrent;
  if (!account.plan().has_limits() && account.plan().relaxed) return;
  const std::unique_ptr<Engine> engine = load_engine();
  const ClipShape shape = engine->plan(with_recipe(make, *engine)).shape;
  job.details["credits"] =
      account.check(shape, job.lane, promised_credits(store, job.owner)).credits;
}

void add(const UseQueue& use, const OutputFolder& folder, JobStore& store, const Display& display) {
  if (use.command.empty())
    fail(ErrorKind::Usage,
         "queue add needs a command; write sora queue add generate \"a red ball\"");
  const std::string directory = fs::current_path().string();
  for (const std::string& text : use.command) check_is_text(text);
  check_is_text(directory);
  NewJob job;
  job.command = with_stdin(use.command);
  const MakeClips make = parse_job(job.command);
  const uint64_t seed = make.request.sampling.seed.value_or(std::random_device()());
  if (!make.request.sampling.seed && make.recipe.empty()) {
    job.command.insert(job.command.begin() + 1,
                       fmt::format("--seed={}", seed));  // the same clip however often it is tried
  }
  const std::string token = fmt::format("{:08x}", std::random_device()());
  const std::string prompt = prompt_of(make.request);
  job.output =
      make.request.output.path.empty()
          ? fmt::format("{}-{}-{}.mp4", name_part(prompt.empty() ? job.command.front() : prompt),
                        seed, token)
          : make.request.output.path;
  OutputFolder::check_name(job.output);
  if (folder.exists(job.output) && !make.request.output.force) {
    fail(ErrorKind::Usage, "{} exists already; choose another name, or --force to replace it",
         (folder.root() / job.output).string());
  }
  if (const std::optional<Job> other = store.maker_of(job.output)) {
    fail(ErrorKind::Usage, "job {} is to write {}; choose another name, or cancel that job first",
         other->id, job.output);
  }
  job.key = token + " " + nlohmann::json(job.command).dump();
  job.model = make.request.runtime.model + " " + make.request.runtime.dtype;
  job.place = "queue";
  job.lane = use.relaxed ? Lane::Relaxed : Lane::Priority;
  job.max_tries = use.retries + 1;
  job.force = make.request.output.force;
  job.details = {{"directory", directory}};  // where the command's relative paths begin
  agree_on_plan(make, store, job);
  const Job added = find(store, store.add(job));
  if (display.json) return write_json({{"job", to_json(added, folder.root())}});
  write_result(fmt::format("{}\n", added.id));
}

void show(const Job& job, const fs::path& folder, const Display& display) {
  if (display.json) return write_json({{"job", to_json(job, folder)}});
  std::string note = job.state == JobState::Done ? (folder / job.output).string() : job.error;
  if (job.state == JobState::Running)
    note = fmt::format("{:.0f} % {}", job.progress * 100, job.phase);
  write_result(printable(fmt::format("{:>4} {:<9} {:<8} {} {}", job.id, to_string(job.state),
                                     to_string(job.lane), fmt::join(job.command, " "), note)) +
               "\n");
}

void make_jobs(const UseQueue& use, const OutputFolder& folder, JobStore& store,
               const Display& display) {
  const int64_t failed_before = store.counts({}).failed;
  const JobCounts before = store.counts({});
  BatchDisplay shown(display, folder.root(), before.pending + before.running, 0);
  EngineMaker maker(folder.journal(), "");
  PreviewWish preview = use.preview;
  if (!preview.file.empty()) preview.file = fs::absolute(preview.file).string();
  begin_preview(preview, use.force_preview, maker.engine(), shown.progress());
  const auto recover_jobs = [&] {
    recover(store, folder, shown, false, JobStore::Losses::Counted, JobStore::Recover::DeadLeases,
            &maker);
  };
  recover_jobs();
  WorkerOptions options;
  options.keep_going = true;
  options.wait_for_more = [&] {
    recover_jobs();
    return !stop_signalled() && (use.follow || (!store.paused() && store.counts({}).pending > 0));
  };
  options.stop_now = [] { ::_exit(exit_code(ErrorKind::Stopped)); };
  options.credits = &maker;
  if (store.paused() && !use.follow)
    shown.say("the queue is paused, so nothing is made; sora queue unpause lets it go on");
  const WorkerEnd end = work(store, folder, maker, shown, options);
  const JobCounts counts = store.counts({});
  shown.summary(counts);
  if (end == WorkerEnd::Stopped || stop_signalled()) {
    if (!termination_signalled()) fail(ErrorKind::Cancelled, "interrupted");
    fail(ErrorKind::Stopped, "stopped with {} jobs to do; sora queue run goes on", counts.pending);
  }
  if (counts.failed > failed_before)
    fail(ErrorKind::BatchFailed, "{} jobs failed; sora queue retry JOB tries one again",
         counts.failed - failed_before);
}

}  // namespace

fs::path queue_folder(const std::string& wish) {
  if (!wish.empty()) return wish;
  const struct {
    const char* variable;
    const char* below;
  } places[] = {
      {"SORA_QUEUE", ""}, {"XDG_DATA_HOME", "sora/queue"}, {"HOME", ".local/share/sora/queue"}};
  for (const auto& place : places) {
    const char* value = std::getenv(place.variable);
    if (value != nullptr && *value != '\0') return fs::path(value) / place.below;
  }
  fail(ErrorKind::Usage, "there is no place for the queue; name a folder with --queue");
}

void run_action(const UseQueue& use, const Display& display) {
  const fs::path root = queue_folder(use.folder);
  const bool only_looks =
      use.action == UseQueue::Action::List || use.action == UseQueue::Action::Show;
  if (only_looks && !fs::exists(root)) {
    if (use.folder.empty() && use.action == UseQueue::Action::List) return;  // nothing added yet
    fail(ErrorKind::NotFound, "there is no queue in {}", root.string());
  }
  const OutputFolder folder(root);
  JobStore store(folder.journal());
  switch (use.action) {
    case UseQueue::Action::Add:
      return add(use, folder, store, display);
    case UseQueue::Action::List:
      for (const Job& job : store.list({})) show(job, folder.root(), display);
      return;
    case UseQueue::Action::Show:
      return show(find(store, use.job), folder.root(), display);
    case UseQueue::Action::Cancel:
      find(store, use.job);
      if (!store.cancel(use.job)) fail(ErrorKind::Usage, "job {} has ended already", use.job);
      // A running one is cleared by its maker.
      if (find(store, use.job).state == JobState::Cancelled) folder.forget_unmade(use.job);
      return;
    case UseQueue::Action::Retry: {
      const Job job = find(store, use.job);
      if (job.state == JobState::Done && folder.exists(job.output)) {
        fail(ErrorKind::Usage, "job {} is done: {} is there; move it away to make it again",
             use.job, (folder.root() / job.output).string());
      }
      if (store.retry({use.job}) == 0) fail(ErrorKind::Usage, "job {} has not ended", use.job);
      return;
    }
    case UseQueue::Action::Run:
      return make_jobs(use, folder, store, display);
    case UseQueue::Action::Pause:
      return store.set_paused(true);
    case UseQueue::Action::Unpause:
      return store.set_paused(false);
  }
}

}  // namespace sora::cli
