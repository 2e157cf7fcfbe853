// Names that stand for several files: numbered pictures, and the variations of a clip.
#pragma once

#include <cstdint>
#include <string>

namespace sora {

// Whether a name is that of numbered pictures: frames/%05d.png.
bool names_sequence(const std::string& path);

// "frames/%05d.png", 7 -> "frames/00007.png". Throws Error(Usage) unless the file's name, without
// its folder, holds exactly one %d or %0Nd field (after %% is taken for a percent sign).
std::string sequence_path(const std::string& pattern, int64_t number);
inline constexpr int64_t kFirstSequenceNumber = 1;

// The path of variation `index` (from 0) of `count`: one alone keeps `path`; otherwise "clip.mp4"
// becomes "clip-1.mp4", and "frames/%05d.png" becomes "frames-1/%05d.png". Throws Error(Usage) for
// stdout with more than one.
std::string variation_path(const std::string& path, int index, int count);

}  // namespace sora
