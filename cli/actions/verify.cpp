// Shows what a file's marks and signature say, and makes identities.
#include "cli/actions/actions.h"
#include "cli/engine_library.h"
#include "cli/results.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"
#include "lib/core/error.h"

namespace sora::cli {

void run_action(const VerifyFile& verify, const Display& display) {
  const std::unique_ptr<Engine> engine = load_engine();
  ProgressDisplay progress(display);
  const nlohmann::json report = engine->verify(verify.path, progress);
  progress.clear();
  if (display.json) {
    write_json(report);
  } else {
    for (const nlohmann::json& line : report["lines"])
      write_result(printable(line.get<std::string>()) + "\n");
  }
  const std::string verdict = report["verdict"];
  if (verdict == "contradicted")
    throw ToldError(ErrorKind::Input,
                    verify.path + " is not what it says it is, or was changed since it was made");
  if (verdict == "nothing")
    throw ToldError(ErrorKind::NotFound, verify.path + " carries no trace of where it came from");
}

void run_action(const NewIdentity& identity, const Display& display) {
  const std::string path = load_engine()->new_identity(identity.name, identity.owner);
  if (display.json) return write_json({{"schema", 1}, {"path", path}, {"name", identity.name}});
  write_result(path + "\n");
}

}  // namespace sora::cli
