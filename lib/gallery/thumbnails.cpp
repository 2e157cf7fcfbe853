#include "lib/gallery/thumbnails.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lib/media/resample.h"
#include "lib/media/video_reader.h"
#include "lib/media/video_writer.h"

namespace sora {
namespace {

constexpr double kPreviewSeconds = 4;
constexpr double kPreviewFps = 8;
constexpr int64_t kMaxWidth = 320;
constexpr int64_t kMaxHeight = 320;
constexpr int kQuality = 70;

void write_webp(const std::filesystem::path& path, const at::Tensor& frames_FHWC) {
  WriterOptions options;
  options.path = path.string();
  options.width = frames_FHWC.size(2);
  options.height = frames_FHWC.size(1);
  options.fps = Rational(static_cast<int64_t>(kPreviewFps), 1);
  options.quality = kQuality;
  options.force = true;
  VideoWriter writer(options);
  writer.write(frames_FHWC);
  writer.finish();
}

}  // namespace

void write_thumbnails(const std::filesystem::path& clip, const std::filesystem::path& poster,
                      const std::filesystem::path& preview) {
  VideoReader reader(clip.string(), {.stop_s = kPreviewSeconds});
  const double scale = std::min({1.0, double(kMaxWidth) / double(reader.width()),
                                 double(kMaxHeight) / double(reader.height())});
  const int64_t width = std::max<int64_t>(1, std::llround(double(reader.width()) * scale));
  const int64_t height = std::max<int64_t>(1, std::llround(double(reader.height()) * scale));
  const Resizer resizer(reader.width(), reader.height(), width, height, Fit::Stretch);
  const int64_t every = std::max<int64_t>(1, std::llround(reader.fps().value() / kPreviewFps));
  std::vector<at::Tensor> frames;
  for (int64_t frame = 0;; frame += every) {
    const at::Tensor chunk_FHWC = reader.read(every);
    if (chunk_FHWC.size(0) == 0) break;
    frames.push_back(resizer(chunk_FHWC.slice(0, 0, 1)));
  }
  const at::Tensor preview_FHWC = at::cat(frames);
  write_webp(
      poster,
      preview_FHWC.slice(0, preview_FHWC.size(0) / 2, preview_FHWC.size(0) / 2 + 1).contiguous());
  write_webp(preview, preview_FHWC);
}

}  // namespace sora
