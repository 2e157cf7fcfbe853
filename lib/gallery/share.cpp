#include "lib/gallery/share.h"

namespace sora {

nlohmann::json run_share_task(const ShareTask& task, const PresetFolders& presets,
                              Observer& observer) {
  struct Run {
    const PresetFolders& presets;
    Observer& observer;
    nlohmann::json operator()(const ExportClip& export_task) const {
      return export_clip(export_task, presets, observer);
    }
    nlohmann::json operator()(const ImportClip& import_task) const {
      return import_clip(import_task, presets, observer);
    }
    nlohmann::json operator()(const ExportPreset& export_task) const {
      return export_preset(export_task, presets);
    }
    nlohmann::json operator()(const ImportPresets& import_task) const {
      return import_presets(import_task, presets, observer);
    }
  };
  return std::visit(Run{presets, observer}, task);
}

std::filesystem::path packed_storyboard(const std::filesystem::path& clip) {
  const std::filesystem::path board = clip.parent_path() / kStoryboardFolder / "board.json";
  std::error_code absent;
  return std::filesystem::is_regular_file(board, absent) ? board : std::filesystem::path();
}

}  // namespace sora
