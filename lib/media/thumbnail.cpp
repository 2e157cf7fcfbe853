#include "lib/media/thumbnail.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lib/media/video_writer.h"

namespace sora {

Resizer shrinking_resizer(int64_t width, int64_t height, int64_t side) {
  const double scale = std::min(1.0, double(side) / double(std::max(width, height)));
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(double(length) * scale));
  };
  return Resizer(width, height, scaled(width), scaled(height), Fit::Stretch);
}

void write_webp(const std::string& path, const at::Tensor& frames_FHWC, Rational fps, int quality) {
  WriterOptions options;
  options.path = path;
  options.width = frames_FHWC.size(2);
  options.height = frames_FHWC.size(1);
  options.fps = fps;
  options.quality = quality;
  options.force = true;
  VideoWriter writer(options);
  writer.write(frames_FHWC.contiguous());
  writer.finish();
}

}  // namespace sora
