// sora queue: jobs that wait for their turn on this machine.
#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "cli/terminal/preview.h"

namespace sora::cli {
namespace {

struct QueueOptions {
  UseQueue use;
  Display display;
};

using Options = std::shared_ptr<QueueOptions>;

// A subcommand of queue; what all of them share is bound here.
CLI::App* add_action(CLI::App& queue, Command& chosen, const Options& options,
                     UseQueue::Action action, const std::string& name,
                     const std::string& description, const std::string& examples) {
  CLI::App* cmd = queue.add_subcommand(name, description);
  cmd->footer("Examples:\n" + examples);
  cmd->add_option("--queue", options->use.folder,
                  "Folder of the queue and its clips; otherwise $SORA_QUEUE, or sora/queue in the "
                  "user's data")
      ->type_name("FOLDER");
  add_display_options(*cmd, options->display);
  cmd->final_callback([options, action, cmd, &chosen] {
    options->use.action = action;
    if (action == UseQueue::Action::Add) options->use.command = cmd->remaining();
    chosen.action = options->use;
    chosen.display = options->display;
  });
  return cmd;
}

}  // namespace

void add_queue(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<QueueOptions>();
  UseQueue& use = options->use;
  CLI::App* queue = app.add_subcommand("queue", "Let jobs wait for their turn");
  queue->footer(
      "Examples:\n  sora queue add generate \"a red ball bounces on the meadow\"\n  sora queue "
      "run\n  sora queue list");
  queue->require_subcommand(1);
  using Action = UseQueue::Action;

  CLI::App* add = add_action(
      *queue, chosen, options, Action::Add, "add", "Add a job: any command that makes clips",
      "  sora queue add generate \"a red ball bounces on the meadow\" --steps 20\n"
      "  sora queue add --relaxed generate \"a pink heart bounces on the sand\" -o heart.mp4");
  add->prefix_command();
  add->add_flag("--relaxed", use.relaxed, "Run it only when no other job waits");
  add->add_option("--retries", use.retries, "Times it is tried again where that may help")
      ->type_name("N")
      ->capture_default_str();

  add_action(*queue, chosen, options, Action::List, "list", "List the jobs",
             "  sora queue list\n  sora queue list --json");
  const auto with_job = [&](Action action, const std::string& name,
                            const std::string& description) {
    CLI::App* cmd = add_action(*queue, chosen, options, action, name, description,
                               "  sora queue " + name + " 3");
    cmd->add_option("job", use.job, "Number of the job, as add printed it")
        ->type_name("JOB")
        ->required();
  };
  with_job(Action::Show, "show", "Show a job");
  with_job(Action::Cancel, "cancel", "Cancel a job that waits or runs");
  with_job(Action::Retry, "retry", "Let a job that has ended run again");

  CLI::App* run = add_action(*queue, chosen, options, Action::Run, "run",
                             "Make the clips of waiting jobs until none is left",
                             "  sora queue run\n  sora queue run --follow");
  run->add_flag("--follow", use.follow, "Wait for further jobs until stopped");
  add_preview_options(*run, use.preview);
  run->add_flag("-f,--force", use.force_preview, "Replace what is at --preview-file");
  add_action(*queue, chosen, options, Action::Pause, "pause", "Start no further job",
             "  sora queue pause");
  add_action(*queue, chosen, options, Action::Unpause, "unpause", "Start jobs again",
             "  sora queue unpause");
}

}  // namespace sora::cli
