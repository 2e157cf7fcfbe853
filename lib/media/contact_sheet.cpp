#include "lib/media/contact_sheet.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "lib/core/ascii.h"
#include "lib/core/error.h"
#include "lib/media/image.h"
#include "lib/media/output_file.h"
#include "lib/media/resample.h"
#include "lib/media/video_reader.h"

namespace sora {
namespace {

constexpr int64_t kGap = 4;  // pixels between pictures
constexpr double kMovingFps = 8;
constexpr double kMovingSeconds = 10;                   // of each file, at most
constexpr int64_t kMaxSheetPixels = int64_t{64} << 20;  // of a still sheet

struct Cell {
  int64_t width = 0;
  int64_t height = 0;
};

Cell cell_of(const FileInfo& info, int64_t width) {
  if (info.width < 1 || info.height < 1) fail(ErrorKind::Input, "{} shows no picture", info.path);
  const double scale = static_cast<double>(width) / static_cast<double>(info.width);
  return {width, std::clamp<int64_t>(std::llround(static_cast<double>(info.height) * scale), 1,
                                     4 * width)};
}

at::Tensor last_frame(const std::string& path) {
  VideoReader reader(path);
  at::Tensor last_FHWC;
  for (at::Tensor frames_FHWC = reader.read(1); frames_FHWC.size(0) > 0;
       frames_FHWC = reader.read(1))
    last_FHWC = frames_FHWC;
  if (!last_FHWC.defined()) fail(ErrorKind::Input, "{} holds no frame", path);
  return last_FHWC;
}

// The frame that is shown at a time, or the last one where the file ends before that.
at::Tensor frame_at(const FileInfo& info, double time_s, const Cell& cell) {
  VideoReader reader(info.path, {.start_s = time_s});
  at::Tensor frame_FHWC = reader.read(1);
  if (frame_FHWC.size(0) == 0) frame_FHWC = last_frame(info.path);
  return resize(frame_FHWC, cell.width, cell.height, Fit::Pad)[0];
}

at::Tensor beside(const std::vector<at::Tensor>& pictures_HWC, int64_t dimension) {
  std::vector<at::Tensor> parts;
  for (const at::Tensor& picture : pictures_HWC) {
    if (!parts.empty()) {
      std::vector<int64_t> gap = picture.sizes().vec();
      gap[static_cast<size_t>(dimension)] = kGap;
      parts.push_back(at::zeros(gap, at::kByte));
    }
    parts.push_back(picture);
  }
  return at::cat(parts, dimension);
}

Pictures to_pictures(const at::Tensor& frames, double fps) {
  const at::Tensor frames_FHWC = frames.contiguous();
  const uint8_t* first = frames_FHWC.const_data_ptr<uint8_t>();
  return {frames_FHWC.size(0), frames_FHWC.size(1), frames_FHWC.size(2), fps,
          std::vector<uint8_t>(first, first + frames_FHWC.numel())};
}

at::Tensor moving_frames(const FileInfo& info, const Cell& cell, const Observer& observer) {
  VideoReader reader(
      info.path, {.fps = Rational(static_cast<int64_t>(kMovingFps), 1), .stop_s = kMovingSeconds});
  std::vector<at::Tensor> frames;
  for (;;) {
    check_stop(observer);
    const at::Tensor chunk_FHWC = reader.read(8);
    if (chunk_FHWC.size(0) == 0) break;
    frames.push_back(resize(chunk_FHWC, cell.width, cell.height, Fit::Pad));
  }
  if (frames.empty()) return frame_at(info, 0, cell).unsqueeze(0);
  return at::cat(frames);
}

void check_output(const std::string& path, bool force) {
  if (ascii_lower(std::filesystem::path(path).extension().string()) != ".png")
    fail(ErrorKind::Usage, "{}: a contact sheet is written as .png", path);
  OutputFile::check(path, force);
}

}  // namespace

Pictures make_sheet(const SheetRequest& request, const Observer& observer) {
  if (request.paths.empty()) fail(ErrorKind::Usage, "a contact sheet needs files");
  if (!request.output.empty()) check_output(request.output, request.force);
  std::vector<FileInfo> infos;
  for (const std::string& path : request.paths) infos.push_back(probe(path));
  const Cell cell = cell_of(infos.front(), request.cell_width);
  const auto count = static_cast<int64_t>(infos.size());

  if (request.moving) {
    std::vector<at::Tensor> clips;
    int64_t longest = 1;
    for (const FileInfo& info : infos) {
      clips.push_back(moving_frames(info, cell, observer));
      longest = std::max(longest, clips.back().size(0));
    }
    for (at::Tensor& clip : clips)
      clip = clip.index_select(0, at::arange(longest).remainder(clip.size(0)));
    return to_pictures(beside(clips, 2), kMovingFps);
  }
  if (count * request.columns * cell.width * cell.height > kMaxSheetPixels) {
    fail(ErrorKind::Usage,
         "a sheet of {} files with {} pictures of {}x{} each is too large; take fewer or smaller "
         "ones",
         count, request.columns, cell.width, cell.height);
  }
  std::vector<at::Tensor> rows;
  for (const FileInfo& info : infos) {
    std::vector<at::Tensor> pictures;
    for (int64_t column = 0; column < request.columns; ++column) {
      check_stop(observer);
      const double share =
          (static_cast<double>(column) + 0.5) / static_cast<double>(request.columns);
      pictures.push_back(frame_at(info, info.duration_s * share, cell));
    }
    rows.push_back(beside(pictures, 1));
  }
  return to_pictures(beside(rows, 0).unsqueeze(0), 0);
}

void write_sheet(const Pictures& sheet, const std::string& path, bool force) {
  check_output(path, force);
  const at::Tensor frame_HWC = at::from_blob(const_cast<uint8_t*>(sheet.frame(0)),
                                             {sheet.height, sheet.width, 3}, at::kByte);
  write_png(path, frame_HWC, force);
}

}  // namespace sora
