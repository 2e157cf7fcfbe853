#include "lib/core/scheduler_names.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "lib/core/error.h"

namespace sora {

std::vector<std::string> scheduler_names() { return {kUniPc, kEuler, kDpmpp}; }

void check_scheduler_name(const std::string& name) {
  const std::vector<std::string> names = scheduler_names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  fail(ErrorKind::Usage, "the scheduler '{}' is unknown; choose one of {}", name,
       fmt::join(names, ", "));
}

}  // namespace sora
