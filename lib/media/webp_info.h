// Animated WebP, which FFmpeg 5.1 writes and does not read: its frame count and
// times stand in the RIFF chunks.
#pragma once

#include <string>

#include "lib/media/video_reader.h"

namespace sora {

// Fills in what the chunks say; false where the file is no animated WebP. Throws Error(Input) for
// broken chunks.
bool describe_animated_webp(const std::string& path, FileInfo& info);

}  // namespace sora
