// Which FFmpeg is in use, for manifests and bug reports.
#pragma once

#include <string>

namespace sora {

std::string ffmpeg_version();  // of the libraries loaded now, such as "5.1.9-0+deb12u1"

}  // namespace sora
