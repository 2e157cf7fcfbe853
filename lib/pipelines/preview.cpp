#include "lib/pipelines/preview.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "lib/core/error.h"
#include "lib/media/image.h"
#include "lib/media/output_file.h"
#include "lib/media/resample.h"
#include "lib/media/video_writer.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLongSide = 256;  // pixels of the file
// What a look that writes a file is taken to cost before there was one.
constexpr double kFirstFileSeconds = 0.03;
constexpr int kWebpQuality = 70;
constexpr int64_t kStripFrames = 4;  // of a still file

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

at::Tensor enlarged(const at::Tensor& frames_FHWC) {
  const double scale = static_cast<double>(kLongSide) /
                       static_cast<double>(std::max(frames_FHWC.size(1), frames_FHWC.size(2)));
  const auto even = [&](int64_t side) {
    return std::max<int64_t>(2, std::llround(static_cast<double>(side) * scale / 2) * 2);
  };
  return resize(frames_FHWC, even(frames_FHWC.size(2)), even(frames_FHWC.size(1)), Fit::Stretch);
}

// A few of the frames beside one another: [H, n*W, 3].
at::Tensor strip_of(const at::Tensor& frames_FHWC) {
  const int64_t count = frames_FHWC.size(0), shown = std::min(count, kStripFrames);
  std::vector<at::Tensor> pictures;
  for (int64_t i = 0; i < shown; ++i)
    pictures.push_back(frames_FHWC[shown == 1 ? 0 : i * (count - 1) / (shown - 1)]);
  return at::cat(pictures, 1).contiguous();
}

void write_file(const std::string& path, const at::Tensor& frames_FHWC, double fps) {
  if (fs::path(path).extension() == ".png") return write_png(path, strip_of(frames_FHWC));
  WriterOptions options;
  options.path = path;
  options.width = frames_FHWC.size(2);
  options.height = frames_FHWC.size(1);
  options.fps = Rational(std::max<int64_t>(1, std::llround(fps * 100)), 100);
  if (fs::path(path).extension() == ".webp") options.quality = kWebpQuality;
  options.force = true;
  VideoWriter writer(options);
  writer.write(frames_FHWC);
  writer.finish();
}

}  // namespace

void check(const PreviewSpec& spec) {
  if (spec.path.empty()) return;
  const std::string extension = fs::path(spec.path).extension().string();
  if (extension != ".webp" && extension != ".gif" && extension != ".apng" && extension != ".png") {
    fail(ErrorKind::Usage, "--preview-file {}: a preview is a .webp, .gif, .apng or .png",
         spec.path);
  }
  OutputFile::check(spec.path, spec.force);
  check_writable(
      {.path = spec.path, .width = kLongSide, .height = 2, .fps = Rational(1), .force = true});
}

Preview::Preview(PreviewSpec spec, std::unique_ptr<Previewer> previewer, const Plan& plan)
    : spec_(std::move(spec)),
      previewer_(std::move(previewer)),
      plan_(plan),
      last_s_(spec_.path.empty() ? 0 : kFirstFileSeconds) {}

WatchStep Preview::watch(Observer& observer) {
  return [this, &observer](const at::Tensor& latents_1CFHW, const at::Tensor& velocity_1CFHW,
                           const NoiseStep& step) {
    if (!spec_.is_wanted()) return;
    const bool ends_window = step.next_sigma == 0;
    const bool ends_clip = ends_window && ++num_ended_ % plan_.windows.size() == 0;
    const bool is_last = ends_clip && !spec_.path.empty();  // what is shown gives way to the clip
    if (!is_last && spent_s_ + last_s_ > kPreviewShare * seconds_since(start_)) return;
    const auto start = std::chrono::steady_clock::now();
    look(latents_1CFHW - step.sigma * velocity_1CFHW, observer);
    last_s_ = seconds_since(start);
    spent_s_ += last_s_;
  };
}

void Preview::look(const at::Tensor& all_1CFHW, Observer& observer) {
  const at::Tensor latents_1CFHW =
      all_1CFHW.slice(2, static_cast<int64_t>(plan_.layout.references.size()));
  const at::Tensor frames_FHWC = (*previewer_)(latents_1CFHW);
  const int64_t num_frames = (latents_1CFHW.size(2) - 1) * plan_.grid.strides.temporal + 1;
  const double fps = static_cast<double>(frames_FHWC.size(0)) * plan_.canvas_fps.value() /
                     static_cast<double>(num_frames);
  if (!spec_.path.empty()) keep(frames_FHWC, fps, observer);
  if (spec_.show) {
    const uint8_t* first = frames_FHWC.const_data_ptr<uint8_t>();
    spec_.show({frames_FHWC.size(0), frames_FHWC.size(1), frames_FHWC.size(2), fps,
                std::vector<uint8_t>(first, first + frames_FHWC.numel())});
  }
}

// A file that cannot be written is given up; the clip goes on without it.
void Preview::keep(const at::Tensor& frames_FHWC, double fps, Observer& observer) {
  try {
    write_file(spec_.path, enlarged(frames_FHWC), fps);
  } catch (const Error& error) {
    const ErrorKind kind = error.kind();
    if (kind != ErrorKind::Io && kind != ErrorKind::Usage && kind != ErrorKind::NotFound) throw;
    observer.notice(fmt::format("the preview is not kept any more: {}", error.what()));
    spec_.path.clear();
  }
}

}  // namespace sora
