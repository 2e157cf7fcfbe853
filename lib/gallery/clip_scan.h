// Finds the clips in folders and reads what each says of itself.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/gallery/gallery.h"

namespace sora {

// Files with an extension of a clip, in subfolders too, sorted; not inside a gallery, not hidden,
// no links to folders. Throws Error(NotFound).
std::vector<std::filesystem::path> find_clips(const std::vector<std::string>& folders);

// Everything but media, poster and preview. Throws as probe() for what is no clip.
GalleryClip read_clip_facts(const std::filesystem::path& path);

}  // namespace sora
