// Decoded and encoded anew on each call: a few dozen small frames.
#include "lib/serve/video_pictures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <vector>

#include "lib/core/json_file.h"
#include "lib/media/thumbnail.h"
#include "lib/media/video_reader.h"

namespace sora {
namespace {

constexpr int64_t kThumbnailSide = 320;
constexpr int64_t kSpriteSide = 160;
constexpr int64_t kColumns = 4;
constexpr int64_t kRows = 4;
constexpr int kQuality = 75;

// Frames [N,H,W,3] at the middle of `count` equal parts of the video, no side longer than `side`;
// fewer where the video has fewer. No others are kept.
at::Tensor frames_of(const std::string& video, int64_t count, int64_t side) {
  const int64_t total = std::max<int64_t>(probe(video).num_frames, 1);
  const auto wanted = static_cast<size_t>(std::min(count, total));
  VideoReader reader(video);
  const Resizer resizer = shrinking_resizer(reader.width(), reader.height(), side);
  std::vector<at::Tensor> chosen;
  at::Tensor last_FHWC;
  for (int64_t frame = 0; chosen.size() < wanted; ++frame) {
    const at::Tensor frame_FHWC = reader.read(1);
    if (frame_FHWC.size(0) == 0) break;
    const auto place = static_cast<int64_t>(2 * chosen.size() + 1);
    if (frame == place * total / static_cast<int64_t>(2 * wanted))
      chosen.push_back(resizer(frame_FHWC));
    last_FHWC = frame_FHWC;
  }
  // The video is shorter than it says.
  if (chosen.empty()) chosen.push_back(resizer(last_FHWC));
  return at::cat(chosen);
}

std::string webp_of(const at::Tensor& frame_FHWC) {
  std::random_device random;
  const std::filesystem::path path = std::filesystem::temp_directory_path() /
                                     fmt::format("sora-{:08x}{:08x}.webp", random(), random());
  write_webp(path.string(), frame_FHWC, Rational(1), kQuality);
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
