// One function an action.
#include "cli/run.h"

#include <fmt/format.h>

#include <cstdio>

#include "cli/actions/actions.h"
#include "cli/actions/payment.h"
#include "cli/actions/queue.h"
#include "cli/batch/actions.h"
#include "cli/engine_library.h"
#include "cli/rank_processes.h"
#include "cli/results.h"
#include "cli/signals.h"
#include "cli/terminal/preview.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

void report(const ClipResult& clip, const Display& display, bool to_stdout) {
  if (display.json) {
    write_json(to_json(clip));
  } else if (to_stdout) {
    write_result(clip.paths.front() + "\n");
  }
  const bool tells = progress_style(display) != ProgressStyle::Json && !display.quiet;
  if (tells && !display.json) {
    tell("{} frames of {} at {} a second, seed {}, in {:.1f} s\n", clip.num_frames,
         to_string(clip.size), to_string(clip.fps), clip.seed, clip.seconds);
  }
}

// Throws Error(Refused) after the plan is shown, where the plan of credits has no room for it.
void print_plan(PlanReport plan, Account& account, const Display& display) {
  const auto credits = [&]() -> std::optional<Quote> {
    try {
      return account.quote(plan.shape);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Refused) throw;
      return std::nullopt;
    }
  }();
  if (credits) plan.json["credits"] = credits_json(account, *credits);
  if (credits) plan.lines.push_back("credits   " + credits_line(account, *credits));
  if (display.json) {
    write_json(plan.json);
  } else {
    for (const std::string& line : plan.lines) write_result(printable(line) + "\n");
  }
  account.check(plan.shape);
}

void run_action(const PrintText& print, const Display&) { write_result(print.text); }

Request request_under_plan(const MakeClips& make, const Account& account, Engine& engine) {
  Request request = with_recipe(make, engine);
  request.output = account.plan().with_watermark(request.output);
  return request;
}

// Throws what a dry run would.
void check_plan(const MakeClips& make) {
  Account account(load_plan(make.plan));
  const std::unique_ptr<Engine> engine = load_engine();
  account.check(engine->plan(request_under_plan(make, account, *engine)).shape);
}

void run_action(const MakeClips& make, const Display& wanted) {
  const bool to_stdout = make.request.output.path == "-";
  if (to_stdout && wanted.json) {
    fail(ErrorKind::Usage, "-o - and --json both want stdout; give one of them");
  }
  if (make.ranks > 1 && !make.dry_run && !is_rank())
    return run_as_ranks(make.ranks, [&] { check_plan(make); });
  const bool tells = !is_rank() || is_first_rank();
  Display display = wanted;
  if (!tells) display = {false, true, ProgressStyle::None};
  Account account(load_plan(make.plan));
  const std::unique_ptr<Engine> engine = load_engine();
  const Request request = request_under_plan(make, account, *engine);
  if (make.dry_run) {
    PlanReport plan = engine->plan(request);
    engine->check_output(request.output, plan.shape);
    return print_plan(std::move(plan), account, display);
  }
  ClipPayment payment(account, std::string(operation_name(request.operation)));
  if (tells && account.plan().has_limits())
    engine->set_admission(&payment);  // of several ranks one pays
  ProgressDisplay progress(display);
  begin_preview(make.preview, request.output.force, *engine, progress);
  engine->when_made([&](const ClipResult& clip) {
    progress.clear();
    if (tells) report(clip, display, !to_stdout);
  });
  engine->run(request, progress);
}

void print_members(const nlohmann::json& object, const std::string& indent) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      write_result(indent + key + "\n");
      print_members(value, indent + "  ");
    } else {
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      write_result(fmt::format("{}{:<20} {}\n", indent, key, printable(text)));
    }
  }
}

void run_action(const ShowInfo& show, const Display& display) {
  const std::unique_ptr<Engine> engine = load_engine();
  const nlohmann::json info = show.path.empty() ? engine->versions() : engine->info(show.path);
  if (display.json) return write_json(info, /*indent=*/2);
  print_members(info, "");
}

void run_action(const DecodeLatents& decode, const Display& display) {
  const bool to_stdout = decode.output.path == "-";
  if (to_stdout && display.json)
    fail(ErrorKind::Usage, "-o - and --json both want stdout; give one of them");
  Account account(load_plan(decode.plan));
  const std::unique_ptr<Engine> engine = load_engine();
  ClipPayment payment(account, "decode");
  if (account.plan().has_limits()) engine->set_admission(&payment);
  ProgressDisplay progress(display);
  engine->when_made([&](const ClipResult& clip) {
    progress.clear();
    report(clip, display, !to_stdout);
  });
  engine->decode(decode.path, account.plan().with_watermark(decode.output), decode.runtime,
                 progress);
}

// "2.8 GB", "5.3 MB": in the largest unit of which it is a tenth.
std::string size_text(double bytes) {
  if (bytes >= 1e8) return fmt::format("{:.1f} GB", bytes / 1e9);
  if (bytes >= 1e5) return fmt::format("{:.1f} MB", bytes / 1e6);
  return fmt::format("{:.1f} kB", bytes / 1e3);
}

void print_list(const nlohmann::json& models) {
  for (const nlohmann::json& model : models) {
    write_result(fmt::format("{:<44} {:<11} {:<22} {:>10}  {}\n", model["name"].get<std::string>(),
                             model["kind"].get<std::string>(), model["family"].get<std::string>(),
                             size_text(model["bytes"].get<double>()),
                             printable(model["path"].get<std::string>())));
  }
}

void run_action(const UseModels& use, const Display& display) {
  const std::unique_ptr<Engine> engine = load_engine();
  ProgressDisplay progress(display);
  const nlohmann::json result = engine->models(use.task, progress);
  progress.clear();
  if (display.json) return write_json(result);
  if (std::holds_alternative<ListModels>(use.task)) return print_list(result["models"]);
  if (std::holds_alternative<ConvertModel>(use.task) || std::holds_alternative<PullModel>(use.task))
    return write_result(result["path"].get<std::string>() + "\n");
  if (std::holds_alternative<VerifyModel>(use.task)) {
    for (const nlohmann::json& file : result["files"])
      write_result(fmt::format("{:<8} {}  {}\n", file["state"].get<std::string>(),
                               file["sha256"].get<std::string>(),
                               printable(file["path"].get<std::string>())));
    return;
  }
  print_members(result, "");
}

}  // namespace

Request with_recipe(const MakeClips& make, Engine& engine) {
  if (make.recipe.empty()) return make.request;
  Request request = engine.recipe(make.recipe);
  request.output = make.request.output;
  const Runtime& here = make.request.runtime;
  if (here.device != Runtime{}.device) request.runtime.device = here.device;
  request.runtime.threads = here.threads;
  request.runtime.memory_bytes = here.memory_bytes;
  request.runtime.cuda_graph = here.cuda_graph;
  check(request);
  return request;
}

void run(const Command& command) {
  if (command.display.quiet) stop_without_a_word();
  std::visit([&](const auto& action) { run_action(action, command.display); }, command.action);
}

}  // namespace sora::cli
