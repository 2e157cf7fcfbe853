// Whether a file of a container that says where it ends goes on to there. Demuxers take the end of
// a cut file for the end of its clip.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sora {

// What is missing at the end of a regular file ("its segment of 4000 bytes begins at byte 52"), by
// the name of libav's demuxer; empty where nothing is, or where the container does not say.
// `descriptor` keeps its place.
std::string missing_end(std::string_view format, int descriptor, int64_t size);

}  // namespace sora
