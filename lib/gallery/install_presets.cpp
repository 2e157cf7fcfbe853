#include "lib/gallery/install_presets.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/pipelines/presets.h"
#include "lib/tensor_io/atomic_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(folder, absent)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

void check_presets(const fs::path& folder) {
  for (const fs::path& file : files_of(folder)) read_preset(file);
}

std::vector<std::string> install_presets(const fs::path& folder, const PresetFolders& presets,
                                         bool force, Observer& observer) {
  std::vector<std::string> installed;
  for (const fs::path& file : files_of(folder)) {
    const std::string text = read_file(file);
    const fs::path own = presets.own / file.filename(),
                   built_in = presets.built_in / file.filename();
    const fs::path taken = fs::exists(own) ? own : fs::exists(built_in) ? built_in : fs::path();
    if (!taken.empty() && read_file(taken) == text) {
      observer.notice(fmt::format("the preset {} is there already, the same: {}",
                                  file.stem().string(), taken.string()));
      continue;
    }
    if (!taken.empty() && !force) {
      observer.notice(
          fmt::format("the preset {} is left out: there is another one of that name, {}",
                      file.stem().string(), taken.string()));
      continue;
    }
    fs::create_directories(presets.own);
    AtomicFile target(own);
    target.write(text.data(), text.size());
    target.commit();
    installed.push_back(file.stem().string());
  }
  return installed;
}

}  // namespace sora
