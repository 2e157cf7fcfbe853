// sora batch: all clips of a prompt file, and where they are.
#include "cli/batch/actions.h"

#include <charconv>

#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "cli/terminal/preview.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

constexpr int kMaxProcesses = 1024;

struct BatchOptions {
  RunBatch batch;
  ShowBatch show;
  std::string shard;
  Display display;
};

void parse_shard(const std::string& text, RunBatch& batch) {
  const size_t slash = text.find('/');
  const auto number = [](std::string_view digits, int& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  const std::string_view whole(text);
  if (slash == std::string::npos || !number(whole.substr(0, slash), batch.shard) ||
      !number(whole.substr(slash + 1), batch.num_shards) || batch.num_shards < 1 ||
      batch.shard < 0 || batch.shard >= batch.num_shards) {
    fail(ErrorKind::Usage,
         "--shard '{}' is no share; write i/n with i from 0 to n-1, such as 0/4 for the first of "
         "four",
         text);
  }
}

// Without a prompt file nothing says which jobs there are, or what each is.
void check_without_file(const RunBatch& batch, const CLI::App& cmd) {
  if (!batch.resume)
    fail(ErrorKind::Usage,
         "batch needs a prompt file; write sora batch prompts.txt, or - for stdin");
  if (batch.folder.empty())
    fail(ErrorKind::Usage,
         "--resume without a file needs the folder; write sora batch --resume -o FOLDER");
  if (batch.dry_run)
    fail(ErrorKind::Usage, "--dry-run plans the jobs of a prompt file; name it beside --resume");
  std::string idle = batch.defaults.empty() ? "" : batch.defaults.front();
  for (const char* name : {"--format", "--name", "--strict", "--retries", "--shard", "--watch"}) {
    if (cmd.count(name) > 0) idle = name;
  }
  if (!idle.empty())
    fail(ErrorKind::Usage,
         "--resume without a file takes the jobs as they were added; leave out {}, or name the "
         "file",
         idle);
}

void check_options(const RunBatch& batch, const CLI::App& cmd) {
  if (batch.file.empty()) check_without_file(batch, cmd);
  if (batch.processes < 1 || batch.processes > kMaxProcesses) {
    fail(ErrorKind::Usage, "--jobs {} is out of range; it goes from 1 to {}", batch.processes,
         kMaxProcesses);
  }
  if (batch.retries < 0 || batch.retries > 100)
    fail(ErrorKind::Usage, "--retries {} is out of range; it goes from 0 to 100", batch.retries);
  if (cmd.count("--on") > 0 && batch.on != "slurm")
    fail(ErrorKind::Usage, "--on '{}' is unknown; it is slurm", batch.on);
  if (!batch.on.empty() && (batch.watch || batch.num_shards > 1))
    fail(ErrorKind::Usage, "--on slurm deals the jobs out itself; leave out --watch and --shard");
  const SlurmWishes& slurm = batch.slurm;
  const bool has_wishes = !slurm.partition.empty() || !slurm.account.empty() ||
                          !slurm.time_limit.empty() || !slurm.memory.empty() || slurm.cpus != 0 ||
                          slurm.gpus != 0 || !slurm.extra.empty();
  if (batch.on.empty() && (batch.wait || has_wishes))
    fail(ErrorKind::Usage, "--wait and what a cluster's tasks are to have need --on slurm");
  if (slurm.cpus < 0 || slurm.gpus < 0) fail(ErrorKind::Usage, "--cpus and --gpus are at least 1");
  if (batch.preview.is_wanted() && (batch.processes > 1 || !batch.on.empty()))
    fail(ErrorKind::Usage,
         "--preview shows the clip that this process draws; leave out --jobs and --on, or the "
         "preview");
  if (batch.watch && batch.dry_run)
    fail(ErrorKind::Usage, "--dry-run prints a plan and stops; leave out --watch");
}

void add_slurm_options(CLI::App& app, RunBatch& batch) {
  const char* group = "Cluster";
  SlurmWishes& slurm = batch.slurm;
  const auto add = [&](const std::string& name, auto& value, const std::string& description,
                       const std::string& type) {
    app.add_option(name, value, description)->type_name(type)->group(group);
  };
  add("--on", batch.on, "slurm: hand the jobs in as an array of N tasks, --jobs N", "CLUSTER");
  app.add_flag("--wait", batch.wait, "Follow the array to its end, and hand in again what was lost")
      ->group(group);
  add("--partition", slurm.partition, "Partition of the tasks", "NAME");
  add("--account", slurm.account, "Account that they are charged to", "NAME");
  add("--time", slurm.time_limit,
      "Time limit of a task, such as 2:00:00; what is left then is handed in again", "TIME");
  add("--gpus", slurm.gpus, "GPUs of a task", "N");
  add("--cpus", slurm.cpus, "Processors of a task", "N");
  add("--node-memory", slurm.memory, "Memory that a task reserves, such as 16G", "SIZE");
  add("--sbatch", slurm.extra,
      "A further option of sbatch, such as --sbatch=--qos=low; may be repeated", "OPTION");
  app.get_option("--sbatch")->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_status(CLI::App& batch, const std::shared_ptr<BatchOptions>& options, Command& chosen) {
  CLI::App* cmd = batch.add_subcommand("status", "Show how far the batches of a folder are");
  cmd->footer("Examples:\n  sora batch status clips\n  sora batch status clips --json");
  cmd->add_option("folder", options->show.folder, "Folder that the batch writes into")
      ->type_name("FOLDER")
      ->required();
  add_display_options(*cmd, options->display);
  cmd->final_callback([options, &chosen] {
    chosen.action = options->show;
    chosen.display = options->display;
  });
}

}  // namespace

void add_batch(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<BatchOptions>();
  RunBatch& batch = options->batch;
  CLI::App* cmd = app.add_subcommand("batch", "Make all clips of a prompt file");
  cmd->footer(
      "Examples:\n"
      "  sora batch prompts.txt\n"
      "  sora batch prompts.jsonl -o clips --jobs 2 --keep-going --steps 20 --size 480x288\n"
      "  sora batch prompts.yaml --dry-run\n"
      "  sora batch prompts.txt -o clips --on slurm --jobs 16 --gpus 1 --time 4:00:00 --wait\n"
      "  sora batch status clips\n"
      "Options that batch does not have itself are defaults for every job. The same command again "
      "goes on where it stopped.");
  cmd->allow_extras();
  cmd->add_option("file", batch.file, "Prompts: .txt, .jsonl, .csv or .yaml; - for stdin")
      ->type_name("FILE");
  cmd->add_option("--format", batch.format, "txt, jsonl, csv or yaml, where the name does not tell")
      ->type_name("NAME");
  cmd->add_option("-o,--output", batch.folder, "Folder for the clips; otherwise FILE-clips")
      ->type_name("FOLDER");
  cmd->add_option("--name", batch.name_template,
                  "Name of each clip, such as {index:03}-{prompt:slug}-{seed}.mp4; {date}, {model} "
                  "and any option of the job too")
      ->type_name("TEMPLATE");
  cmd->add_flag("-n,--dry-run", batch.dry_run,
                "Check everything, print jobs, frames, time, memory, credits, and stop");
  cmd->add_flag("--strict", batch.strict,
                "Sizes and lengths that the model does not draw as asked are faults");
  cmd->add_flag(
      "--resume", batch.resume,
      "Go on with what the folder's journal holds; with the same file this is the default");
  cmd->add_flag("--keep-going", batch.keep_going, "Go on after a job has failed");
  cmd->add_option("--retries", batch.retries, "Times a job is tried again where that may help")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_option("--jobs", batch.processes, "Processes that make clips at the same time")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_option("--shard", options->shard,
                  "Only every n-th job, from job i, counted from 0: for several machines")
      ->type_name("i/n");
  cmd->add_flag("--watch", batch.watch, "Wait for further lines in the file until stopped");
  cmd->add_flag("-f,--force", batch.force, "Make every job again and replace what is there");
  add_plan_option(*cmd, batch.plan);
  cmd->add_option("--worker-of", batch.worker_of)->group("");
  cmd->add_option("--store", batch.store)->group("");
  add_slurm_options(*cmd, batch);
  add_preview_options(*cmd, batch.preview);
  add_display_options(*cmd, options->display);
  add_status(*cmd, options, chosen);
  cmd->final_callback([options, cmd, &chosen] {
    if (!cmd->get_subcommands().empty()) return check_none_before_subcommand(*cmd);
    RunBatch& batch = options->batch;
    batch.defaults = cmd->remaining();
    if (cmd->count("--shard") > 0) parse_shard(options->shard, batch);
    if (batch.worker_of.empty()) check_options(batch, *cmd);
    chosen.action = batch;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
