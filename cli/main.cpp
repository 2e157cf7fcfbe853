// The program: parse, run, and turn what went wrong into one sentence and an exit code.
#include <fcntl.h>
#include <unistd.h>

#include <new>

#include "cli/parse.h"
#include "cli/results.h"
#include "cli/run.h"
#include "cli/signals.h"
#include "cli/terminal/terminal.h"
#include "lib/core/internal_error.h"

namespace {

bool wants_json(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--json") return true;
  }
  return false;
}

int report(const sora::Error& error, bool as_json) {
  const int code = sora::exit_code(error.kind());
  if (as_json) {
    const nlohmann::json object = {
        {"schema", 1},
        {"error",
         {{"kind", sora::to_string(error.kind())}, {"code", code}, {"message", error.what()}}}};
    try {
      sora::cli::write_json(object);
    } catch (const sora::Error&) {  // stdout is closed: the exit code is left to tell
    }
  }
  sora::cli::tell("sora: {}\n", sora::cli::printable(error.what()));
  return code;
}

// A standard stream that the caller has closed would be the next file that is opened. Nothing is
// read and messages go nowhere; results have no place, as on a full disk.
void open_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const bool is_open = fcntl(stream, F_GETFD) >= 0;
    if (!is_open && open(stream == STDOUT_FILENO ? "/dev/full" : "/dev/null", O_RDWR) != stream)
      return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  sora::cli::install_signal_handlers();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const bool as_json = wants_json(arguments);
  try {
    sora::cli::run(sora::cli::parse(arguments));
    return 0;
  } catch (const sora::Error& error) {
    if (error.kind() == sora::ErrorKind::Cancelled) sora::cli::end_by_signal();
    if (error.kind() == sora::ErrorKind::Stopped && sora::cli::is_worker())
      return sora::exit_code(error.kind());
    const bool is_told = dynamic_cast<const sora::cli::ToldError*>(&error) != nullptr;
    return report(error, as_json && !is_told);
  } catch (const std::bad_alloc&) {
    return report({sora::ErrorKind::Memory,
                   "the machine ran out of memory; try a smaller size or fewer frames"},
                  as_json);
  } catch (const std::exception& error) {
    return report(sora::internal_error(error), as_json);
  }
}
