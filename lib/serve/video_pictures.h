// Pictures of a video that a client may ask for beside it, as WebP.
#pragma once

#include <string>

namespace sora {

// The frame in the middle, at most 320 pixels wide. Throws as VideoReader.
std::string thumbnail_of(const std::string& video);
// Frames at even distances, in rows of 4.
std::string spritesheet_of(const std::string& video);

}  // namespace sora
