// The program: parse, run, and turn what went wrong into one sentence and an exit code.
#include <fmt/format.h>

#include <cstdio>
#include <new>

#include "cli/parse.h"
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
    fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  fmt::print(stderr, "sora: {}\n", sora::cli::printable(error.what()));
  return code;
}

}  // namespace

int main(int argc, char** argv) {
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
    return report(error, as_json);
  } catch (const std::bad_alloc&) {
    return report({sora::ErrorKind::Memory,
                   "the machine ran out of memory; try a smaller size or fewer frames"},
                  as_json);
  } catch (const std::exception& error) {
    return report(sora::internal_error(error), as_json);
  }
}
