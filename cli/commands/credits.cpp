// sora credits: what the plan in force has left, and what things cost.
#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

struct CreditsOptions {
  UseCredits use;
  Display display;
};

}  // namespace

void add_credits(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<CreditsOptions>();
  UseCredits& use = options->use;
  using Action = UseCredits::Action;
  CLI::App* credits =
      app.add_subcommand("credits", "Show what the plan has left, and what a command would cost");
  credits->footer(
      "Examples:\n"
      "  sora credits --plan plus\n"
      "  sora credits estimate generate \"a red ball\" --resolution 720p --duration 5\n"
      "  sora credits history");
  const auto bind = [&](CLI::App* cmd, Action action) {
    add_plan_option(*cmd, use.plan);
    add_display_options(*cmd, options->display);
    cmd->final_callback([options, action, cmd, &chosen] {
      if (!cmd->get_subcommands().empty()) return;
      options->use.action = action;
      if (action == Action::Estimate) options->use.command = cmd->remaining();
      if (options->use.limit < 1)
        fail(ErrorKind::Usage, "--limit {} is out of range; it goes from 1", options->use.limit);
      chosen.action = options->use;
      chosen.display = options->display;
    });
  };
  const auto add_account = [&](CLI::App* cmd) {
    cmd->add_option("--account", use.account,
                    "Name in the token file of sora serve; your own where not given")
        ->type_name("NAME");
  };
  add_account(credits);
  bind(credits, Action::Balance);

  CLI::App* history =
      credits->add_subcommand("history", "Show the rows of the ledger, newest first");
  history->footer("Examples:\n  sora credits history\n  sora credits history --limit 100 --json");
  history->add_option("--limit", use.limit, "Rows at most")->type_name("N")->capture_default_str();
  add_account(history);
  bind(history, Action::History);

  CLI::App* estimate = credits->add_subcommand(
      "estimate", "Tell what a command would cost: any that makes clips, or a batch");
  estimate->footer(
      "Examples:\n"
      "  sora credits estimate --plan pro generate \"a red ball\" --resolution 1080p --duration "
      "20\n"
      "  sora credits estimate batch prompts.txt");
  estimate->prefix_command();
  bind(estimate, Action::Estimate);

  CLI::App* prices = credits->add_subcommand(
      "prices", "Show the plan's prices: of clips by length, and by the second");
  prices->footer("Examples:\n  sora credits prices --plan pro");
  bind(prices, Action::Prices);

  CLI::App* plans = credits->add_subcommand("plans", "List the plans");
  plans->footer("Examples:\n  sora credits plans");
  bind(plans, Action::Plans);
}

}  // namespace sora::cli
