// Clips and presets passed from one person to another as one file, NAME.sora: what the archive of
// each holds, packing and taking in. docs/explore.md describes the format.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/core/observer.h"
#include "lib/core/share_task.h"

namespace sora {

struct PresetFolders {
  std::filesystem::path built_in;
  std::filesystem::path own;
};

// The result as JSON: "path" of what was made and facts of it. Throws Error(NotFound) for a clip,
// preset or archive that is not there, Error(Input) for one that is not sound, and then nothing of
// it has been taken in, Error(Usage) for a file that is there already, Error(Io).
nlohmann::json run_share_task(const ShareTask& task, const PresetFolders& presets,
                              Observer& observer);

nlohmann::json export_clip(const ExportClip& task, const PresetFolders& presets,
                           Observer& observer);
nlohmann::json import_clip(const ImportClip& task, const PresetFolders& presets,
                           Observer& observer);
nlohmann::json export_preset(const ExportPreset& task, const PresetFolders& presets);
nlohmann::json import_presets(const ImportPresets& task, const PresetFolders& presets,
                              Observer& observer);

// Where a clip's packed companions lie: hidden folders beside it, which galleries pass over.
// board.json and what its cards show.
inline constexpr const char* kStoryboardFolder = ".storyboard";
inline constexpr const char* kSourcesFolder = ".sources";  // SHA256.webp, thumbnails of sources

// The storyboard that came with a clip; empty where none did.
std::filesystem::path packed_storyboard(const std::filesystem::path& clip);

}  // namespace sora
