// The gallery is made by the engine; here its report is shown.
#include <fmt/format.h>

#include <cstdio>

#include "cli/actions/actions.h"
#include "cli/engine_library.h"
#include "cli/terminal/progress.h"
#include "lib/core/error.h"

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

void print_result(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw Error(ErrorKind::Io, "the result could not be written to stdout; is it closed or full?");
  }
}

void run_action(const ExploreGallery& explore, const Display& display) {
  const std::unique_ptr<Engine> engine = load_engine();
  ProgressDisplay progress(display);
  const GalleryReport report = engine->explore(explore.request, progress);
  progress.clear();
  if (!display.quiet) {
    fmt::print(stderr, "{} clips, {} new, {} gone\n", report.num_clips, report.num_new,
               report.num_gone);
  }
  if (!explore.serve)
    return print_result(display.json ? report_json(report).dump() + "\n" : report.index + "\n");
  const auto on_ready = [&](const std::string& address) {
    print_result(display.json ? nlohmann::json({{"schema", 1}, {"url", address}}).dump() + "\n"
                              : address + "\n");
    if (!display.quiet) fmt::print(stderr, "serving {}; Ctrl-C ends it\n", explore.request.output);
  };
  engine->serve(explore.request, explore.port, on_ready, progress);
}

}  // namespace sora::cli
