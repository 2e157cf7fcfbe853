// The gallery is made by the engine; here its report is shown.
#include <fmt/format.h>

#include "cli/actions/actions.h"
#include "cli/engine_library.h"
#include "cli/results.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"

namespace sora::cli {
namespace {

nlohmann::json report_json(const GalleryReport& report) {
  return {{"schema", 1},
          {"path", report.index},
          {"clips", report.num_clips},
          {"new", report.num_new},
          {"gone", report.num_gone}};
}

}  // namespace

void run_action(const ExploreGallery& explore, const Display& display) {
  const std::unique_ptr<Engine> engine = load_engine();
  ProgressDisplay progress(display);
  const GalleryReport report = engine->explore(explore.request, progress);
  progress.clear();
  if (!display.quiet && progress_style(display) != ProgressStyle::Json) {
    tell("{} clips, {} new, {} gone\n", report.num_clips, report.num_new, report.num_gone);
  }
  if (!explore.serve && display.json) return write_json(report_json(report));
  if (!explore.serve) return write_result(report.index + "\n");
  const auto on_ready = [&](const std::string& address) {
    if (display.json) {
      write_json({{"schema", 1}, {"url", address}});
    } else {
      write_result(address + "\n");
    }
    if (!display.quiet) tell("serving {}; Ctrl-C ends it\n", explore.request.output);
  };
  engine->serve(explore.request, explore.port, on_ready, progress);
}

}  // namespace sora::cli
