// Presets that came with an archive.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/core/observer.h"
#include "lib/gallery/share.h"

namespace sora {

// Throws Error(Input) for a file of the folder that is no preset; a folder that is not there is
// fine.
void check_presets(const std::filesystem::path& folder);

// Puts the folder's presets among the user's own, and returns their names. One whose name is taken
// by another preset is left out with a notice; with `force`, the user's own of that name is
// replaced. Throws Error(Io).
std::vector<std::string> install_presets(const std::filesystem::path& folder,
                                         const PresetFolders& presets, bool force,
                                         Observer& observer);

}  // namespace sora
