// libavutil knows the version of the whole release.
#include "lib/media/ffmpeg_version.h"

#include "lib/media/ffmpeg.h"

namespace sora {

std::string ffmpeg_version() { return av_version_info(); }

}  // namespace sora
