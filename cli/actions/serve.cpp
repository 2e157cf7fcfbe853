// The server takes orders; processes of its own, which it starts again when they die, make them.
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <thread>

#include "cli/actions/actions.h"
#include "cli/actions/queue.h"
#include "cli/actions/video_jobs.h"
#include "cli/batch/worker_processes.h"
#include "cli/engine_library.h"
#include "cli/results.h"
#include "cli/signals.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

constexpr auto kServePoll = std::chrono::milliseconds(200);
constexpr auto kPauseAfterDeath = std::chrono::seconds(2);

// Keeps the makers of the queue running while it lives.
class Makers {
 public:
  Makers(int count, const std::filesystem::path& queue, Observer& observer) {
    if (count == 0) return;
    thread_ = std::thread([=, this, &observer] {
      try {
        run(count, queue);
      } catch (const Error& error) {
        observer.notice(error.what());
      }
    });
  }
  ~Makers() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
  }
  Makers(const Makers&) = delete;
  Makers& operator=(const Makers&) = delete;

 private:
  void run(int count, const std::filesystem::path& queue) {
    WorkerProcesses processes(count, {"queue", "run", "--follow", "--queue", queue.string(),
                                      "--quiet", "--progress", "none"});
    auto next_start = std::chrono::steady_clock::now();
    while (!ending_) {
      std::this_thread::sleep_for(kServePoll);
      const auto now = std::chrono::steady_clock::now();
      if (!processes.collect().empty()) next_start = now + kPauseAfterDeath;
      if (now >= next_start) processes.start_up_to(count);
    }
  }

  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace

void run_action(const ServeVideos& serve, const Display& display) {
  if (!serve.new_token.empty()) {
    const std::string plan = serve.plan.empty() ? "" : load_plan(serve.plan).reference();
    const std::string token =
        load_engine()->add_token(serve.options.token_file, serve.new_token, plan);
    if (display.json)
      return write_json({{"schema", 1}, {"name", serve.new_token}, {"token", token}});
    return write_result(token + "\n");
  }
  const std::filesystem::path queue = std::filesystem::absolute(queue_folder(serve.folder));
  std::vector<std::string> probe = {"generate"};
  probe.insert(probe.end(), serve.defaults.begin(), serve.defaults.end());
  probe.insert(probe.end(), {"--", "a red ball"});
  const MakeClips any = parse_job(probe);  // options that no job could have are told now
  if (!serve.plan.empty()) load_plan(serve.plan);
  VideoJobs videos(queue, serve.models, serve.defaults, serve.plan, serve.max_waiting);
  ProgressDisplay progress(display);
  for (const std::string& model : serve.models)  // likewise models that are not there
    videos.engine().models(ShowModel{model, any.request.runtime.files, "", 0}, progress);
  std::optional<Makers> makers;  // once the address is ours
  ServeOptions options = serve.options;
  options.stop_now = [] { ::_exit(0); };  // the makers end with this process
  videos.engine().serve_videos(
      options, videos,
      [&](const std::string& base_url) {
        makers.emplace(serve.processes, queue, progress);
        if (display.json) {
          write_json({{"schema", 1}, {"base_url", base_url}});
        } else {
          write_result(base_url + "\n");
        }
        if (!display.quiet) tell("serving the queue {}; Ctrl-C ends it\n", queue.string());
      },
      progress);
}

}  // namespace sora::cli
