// The poster and the moving preview of a clip, as WebP.
#pragma once

#include <filesystem>

namespace sora {

// `poster` shows the frame in the middle of the clip's first seconds, `preview` a few frames of
// them. Both are at most 320 pixels wide. Throws as VideoReader and VideoWriter.
void write_thumbnails(const std::filesystem::path& clip, const std::filesystem::path& poster,
                      const std::filesystem::path& preview);

}  // namespace sora
