// Decoded and encoded anew on each call: a few dozen small frames.
#include "lib/serve/video_pictures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>
#include <vector>

#include "lib/core/json_file.h"
#include "lib/media/resample.h"
#include "lib/media/video_reader.h"
#include "lib/media/video_writer.h"

namespace sora {
namespace {

constexpr int64_t kThumbnailSide = 320;
constexpr int64_t kSpriteSide = 160;
constexpr int64_t kColumns = 4;
constexpr int64_t kRows = 4;
constexpr int kQuality = 75;

// Frames [N,H,W,3] at the middle of `count` equal parts of the video, no side longer than `side`;
// fewer where the video has fewer.
at::Tensor frames_of(const std::string& video, int64_t count, int64_t side) {
  VideoReader reader(video, {});
  const double scale = std::min(
      {1.0, double(side) / double(reader.width()), double(side) / double(reader.height())});
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(double(length) * scale));
  };
  const Resizer resizer(reader.width(), reader.height(), scaled(reader.width()),
                        scaled(reader.height()), Fit::Stretch);
  std::vector<at::Tensor> frames;
  for (;;) {
    const at::Tensor frame_FHWC = reader.read(1);
    if (frame_FHWC.size(0) == 0) break;
    frames.push_back(resizer(frame_FHWC));
  }
  const int64_t total = static_cast<int64_t>(frames.size());
  std::vector<at::Tensor> chosen;
  for (int64_t i = 0; i < std::min(count, total); ++i)
    chosen.push_back(
        frames[static_cast<size_t>((2 * i + 1) * total / (2 * std::min(count, total)))]);
  return at::cat(chosen);
}

std::string webp_of(const at::Tensor& frame_FHWC) {
  std::random_device random;
  const std::filesystem::path path = std::filesystem::temp_directory_path() /
                                     fmt::format("sora-{:08x}{:08x}.webp", random(), random());
  WriterOptions options;
  options.path = path.string();
  options.width = frame_FHWC.size(2);
  options.height = frame_FHWC.size(1);
  options.fps = Rational(1, 1);
  options.quality = kQuality;
  VideoWriter writer(options);
  writer.write(frame_FHWC.contiguous());
  writer.finish();
  std::string bytes = read_file(path.string());
  std::filesystem::remove(path);
  return bytes;
}

}  // namespace

std::string thumbnail_of(const std::string& video) {
  const at::InferenceMode inference;
  return webp_of(frames_of(video, 1, kThumbnailSide));
}

std::string spritesheet_of(const std::string& video) {
  const at::InferenceMode inference;
  const at::Tensor frames_NHWC = frames_of(video, kColumns * kRows, kSpriteSide);
  const int64_t count = frames_NHWC.size(0);
  const int64_t columns = std::min(kColumns, count);
  const int64_t rows = (count + columns - 1) / columns;
  at::Tensor sheet_NHWC =
      at::zeros({rows * columns, frames_NHWC.size(1), frames_NHWC.size(2), 3}, at::kByte);
  sheet_NHWC.slice(0, 0, count).copy_(frames_NHWC);
  const at::Tensor grid =
      sheet_NHWC.view({rows, columns, frames_NHWC.size(1), frames_NHWC.size(2), 3})
          .permute({0, 2, 1, 3, 4});
  return webp_of(grid.reshape({1, rows * frames_NHWC.size(1), columns * frames_NHWC.size(2), 3}));
}

}  // namespace sora
