#include "cli/batch/running_batch.h"

#include <filesystem>

#include "lib/jobs/stable_seed.h"

namespace sora::cli {
namespace {

std::filesystem::path lock_file(const OutputFolder& folder, const std::string& batch) {
  const std::filesystem::path place = folder.root() / ".sora" / "running";
  std::error_code ignored;
  std::filesystem::create_directories(place, ignored);
  return place / stable_name(batch);
}

}  // namespace

RunningBatch::RunningBatch(const OutputFolder& folder, const std::string& batch)
    : lock_(lock_file(folder, batch)) {
  share();
}

bool RunningBatch::take_alone() {
  if (lock_.try_lock()) return true;
  share();  // what was held may be lost
  return false;
}

void RunningBatch::share() { lock_.lock_shared(); }

}  // namespace sora::cli
