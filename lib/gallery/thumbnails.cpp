#include "lib/gallery/thumbnails.h"

#include <ATen/ATen.h>

#include <vector>

#include "lib/media/thumbnail.h"
#include "lib/media/video_reader.h"

namespace sora {
namespace {

constexpr double kPreviewSeconds = 4;
constexpr int64_t kPreviewFps = 8;
constexpr int64_t kLongSide = 320;
constexpr int kQuality = 70;

}  // namespace

void write_thumbnails(const std::filesystem::path& clip, const std::filesystem::path& poster,
                      const std::filesystem::path& preview) {
  const Rational fps(kPreviewFps);
  VideoReader reader(clip.string(), {.fps = fps, .stop_s = kPreviewSeconds});
  const Resizer resizer = shrinking_resizer(reader.width(), reader.height(), kLongSide);
  std::vector<at::Tensor> frames;
  for (at::Tensor frame_FHWC = reader.read(1); frame_FHWC.size(0) > 0; frame_FHWC = reader.read(1))
    frames.push_back(resizer(frame_FHWC));
  const at::Tensor preview_FHWC = at::cat(frames);
  const int64_t middle = preview_FHWC.size(0) / 2;
  write_webp(poster.string(), preview_FHWC.slice(0, middle, middle + 1), fps, kQuality);
  write_webp(preview.string(), preview_FHWC, fps, kQuality);
}

}  // namespace sora
