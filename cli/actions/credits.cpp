// Carries out the actions of sora credits.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "cli/actions/actions.h"
#include "cli/actions/payment.h"
#include "cli/batch/actions.h"
#include "cli/engine_library.h"
#include "cli/engine_maker.h"
#include "cli/parse.h"
#include "cli/results.h"
#include "cli/run.h"
#include "cli/terminal/terminal.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

constexpr double kLengths_s[] = {5, 10, 15, 20};

void show_balance(Account& account, const Display& display) {
  const CreditPlan& plan = account.plan();
  if (!account.is_counted()) {
    if (display.json) return write_json({{"schema", 1}, {"plan", plan.name}});
    return write_result(fmt::format("plan      {}\ncredits   none are counted\n", plan.name));
  }
  const Balance now = account.balance();
  const int64_t left = *plan.credits_per_month - now.used;
  if (display.json) {
    return write_json({{"schema", 1},
                       {"plan", plan.name},
                       {"month", now.month},
                       {"credits_per_month", *plan.credits_per_month},
                       {"left", left},
                       {"used", now.used},
                       {"reserved", now.reserved},
                       {"running", now.running}});
  }
  write_result(
      fmt::format("plan      {}{}\nmonth     {} (UTC)\nleft      {} of {}\nused      {}, {} of "
                  "them set aside for what is being made\n",
                  plan.name, plan.label.empty() ? "" : " (" + plan.label + ")",
                  month_name(now.month), left, *plan.credits_per_month, now.used, now.reserved));
}

void show_history(const UseCredits& use, Account& account, const Display& display) {
  for (const LedgerEntry& entry : account.ledger().history(account.owner(), use.limit)) {
    const std::string time =
        fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(entry.at_s)));
    if (display.json) {
      write_json({{"schema", 1},
                  {"id", entry.id},
                  {"time", time},
                  {"month", entry.month},
                  {"plan", entry.plan},
                  {"kind", entry.kind},
                  {"credits", entry.credits},
                  {"work", entry.work},
                  {"variation", entry.variation},
                  {"text", entry.text}});
    } else {
      write_result(printable(fmt::format("{:>6} {} {:<8} {:<8} {:>+7} {}", entry.id, time,
                                         entry.plan, entry.kind, entry.credits, entry.text)) +
                   "\n");
    }
  }
}

// Throws Error(Refused) where the plan has no room for it.
void show_estimate(const UseCredits& use, Account& account, Display display) {
  if (use.command.empty())
    fail(ErrorKind::Usage,
         "credits estimate needs a command; write sora credits estimate generate \"a red ball\"");
  Command command = parse(use.command);
  display.json = display.json || command.display.json;
  if (auto* batch = std::get_if<RunBatch>(&command.action)) {
    batch->dry_run = true;
    if (batch->plan.empty()) batch->plan = use.plan;
    return run_action(*batch, display);
  }
  MakeClips make = parse_job(use.command);
  Account chosen(make.plan.empty() ? account.plan() : load_plan(make.plan), account.owner());
  const std::unique_ptr<Engine> engine = load_engine();
  const ClipShape shape = engine->plan(with_recipe(make, *engine)).shape;
  const Quote quote = chosen.check(shape);
  if (display.json) {
    nlohmann::json object = credits_json(chosen, quote);
    object["schema"] = 1;
    object["size"] = to_string(shape.size);
    object["seconds"] = billed_seconds(shape);
    object["variations"] = shape.variations;
    return write_json(object);
  }
  write_result(fmt::format("output    {}, {:.10g} s, {} {}\ncredits   {}\n", to_string(shape.size),
                           billed_seconds(shape), shape.variations,
                           shape.variations == 1 ? "clip" : "clips", credits_line(chosen, quote)));
}

void show_prices(const CreditPlan& plan, const Display& display) {
  if (display.json) {
    nlohmann::json classes = nlohmann::json::array();
    for (const PriceClass& row : plan.prices.classes)
      classes.push_back({{"name", row.name},
                         {"size", to_string(row.size)},
                         {"credits_per_second", row.credits_per_second}});
    return write_json({{"schema", 1},
                       {"label", plan.prices.label},
                       {"bracket_s", plan.prices.bracket_s},
                       {"classes", classes}});
  }
  std::string text = plan.prices.label + "\n" + fmt::format("{:<14}{:<11}", "class", "up to");
  for (const double length : kLengths_s) text += fmt::format("{:>7}", fmt::format("{} s", length));
  text += fmt::format("   a second, by brackets of {} s\n", plan.prices.bracket_s);
  for (const PriceClass& row : plan.prices.classes) {
    text += fmt::format("{:<14}{:<11}", row.name, to_string(row.size));
    for (const double length : kLengths_s)
      text += fmt::format("{:>7}", price_of(plan.prices, row, length));
    text += fmt::format("   {}\n", fmt::join(row.credits_per_second, ", "));
  }
  write_result(text);
}

void show_plans(const CreditPlan& chosen, const Display& display) {
  for (const std::string& name : plan_names()) {
    const CreditPlan plan = load_plan(name);
    const bool in_force = plan.reference() == chosen.reference();
    if (display.json) {
      nlohmann::json object = {{"schema", 1},
                               {"name", name},
                               {"label", plan.label},
                               {"file", plan.file},
                               {"relaxed", plan.relaxed},
                               {"watermark", to_string(plan.watermark)},
                               {"max_concurrent", plan.max_concurrent},
                               {"in_force", in_force}};
      if (plan.credits_per_month) object["credits_per_month"] = *plan.credits_per_month;
      if (plan.max_size) object["max_size"] = to_string(*plan.max_size);
      if (plan.max_duration_s) object["max_duration_s"] = *plan.max_duration_s;
      write_json(object);
      continue;
    }
    std::string limits = plan.credits_per_month
                             ? fmt::format("{} credits a month", *plan.credits_per_month)
                             : "no credits are counted";
    if (plan.max_size) limits += fmt::format(", up to {}", to_string(*plan.max_size));
    if (plan.max_duration_s) limits += fmt::format(", up to {:.10g} s", *plan.max_duration_s);
    if (plan.max_concurrent > 0) limits += fmt::format(", {} at a time", plan.max_concurrent);
    if (!plan.relaxed) limits += ", no relaxed lane";
    limits += fmt::format(", watermark {}", to_string(plan.watermark));
    if (!plan.label.empty()) limits += fmt::format(" ({})", plan.label);
    write_result(printable(fmt::format("{} {:<10} {}", in_force ? "*" : " ", name, limits)) + "\n");
  }
}

}  // namespace

void run_action(const UseCredits& use, const Display& display) {
  Account account(load_plan(use.plan), use.account);
  switch (use.action) {
    case UseCredits::Action::Balance:
      return show_balance(account, display);
    case UseCredits::Action::History:
      return show_history(use, account, display);
    case UseCredits::Action::Estimate:
      return show_estimate(use, account, display);
    case UseCredits::Action::Prices:
      return show_prices(account.plan(), display);
    case UseCredits::Action::Plans:
      return show_plans(account.plan(), display);
  }
}

}  // namespace sora::cli
