#include "lib/media/video_reader.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "lib/core/error.h"
#include "lib/media/frame_to_rgb.h"
#include "lib/media/media_input.h"
#include "lib/media/orientation.h"
#include "lib/media/resample.h"
#include "lib/media/stream_timing.h"
#include "lib/media/video_decoder.h"
#include "lib/media/webp_info.h"

namespace sora {
namespace {

// Closer starts are reached by decoding from the beginning, which is exact in every container.
constexpr double kSeekFrom_s = 10;

void check_range(const std::string& path, const ReadOptions& options) {
  if (!(options.start_s >= 0) || (options.stop_s && !(*options.stop_s > options.start_s))) {
    fail(ErrorKind::Usage, "{}: the range from {} s to {} s holds nothing", path, options.start_s,
         options.stop_s.value_or(INFINITY));
  }
  if (options.fps && options.fps->num < 1)
    fail(ErrorKind::Usage, "{}: a rate of {} frames a second", path, to_string(*options.fps));
}

}  // namespace

class VideoReader::Impl {
 public:
  Impl(const std::string& path, const ReadOptions& options)
      : options_(options),
        decoder_(path, options.max_pixels),
        orientation_(orientation_of(decoder_.input(), decoder_.stream())) {
    check_range(path, options);
    current_ = decoder_.next();
    if (!current_) fail_without_frames();
    const Rational own_fps = frame_rate_of(decoder_.input(), decoder_.stream());
    fps_ = options.fps.value_or(own_fps);
    is_slower_ = fps_.value() < own_fps.value();
    if (!(fps_.value() > 0 && fps_.value() <= kMaxFps)) {
      fail(ErrorKind::Input, "{} claims {} frames a second; up to {} can be read", decoder_.path(),
           to_string(fps_), kMaxFps);
    }
    stored_width_ = current_->width;
    stored_height_ = current_->height;
    const AVRational aspect = av_guess_sample_aspect_ratio(&decoder_.input().context(),
                                                           &decoder_.stream(), current_.get());
    width_ = square_pixel_width(stored_width_, aspect);
    height_ = stored_height_;
    if (orientation_.transposed) std::swap(width_, height_);
    if (width_ * height_ > options.max_pixels) {
      fail(ErrorKind::Input,
           "{} is {}x{} pixels large where they are made square; up to {} pixels can be read",
           decoder_.path(), width_, height_, options.max_pixels);
    }

    origin_ =
        current_->best_effort_timestamp == AV_NOPTS_VALUE ? 0 : current_->best_effort_timestamp;
    // A time within a millionth of a frame is that frame's.
    first_tick_ = static_cast<int64_t>(std::ceil(options.start_s * fps_.value() - 1e-6));
    if (options.stop_s)
      stop_tick_ = static_cast<int64_t>(std::ceil(*options.stop_s * fps_.value() - 1e-6));
    current_tick_ = 0;
    if (options.start_s > kSeekFrom_s) seek();
    tick_ = first_tick_;
    advance();
  }

  Rational fps() const { return fps_; }
  int64_t width() const { return width_; }
  int64_t height() const { return height_; }

  at::Tensor read(int64_t max_frames) {
    std::vector<at::Tensor> frames;
    while (static_cast<int64_t>(frames.size()) < max_frames && tick_ < stop_tick_ && show(tick_)) {
      if (given_ == options_.max_frames) {
        fail(ErrorKind::Input,
             "{} goes on after {} frames, which is the limit; name a shorter part of it",
             decoder_.path(), given_);
      }
      frames.push_back(shown_);
      ++tick_;
      ++given_;
    }
    if (frames.empty()) return at::empty({0, height_, width_, 3}, at::kByte);
    return at::stack(frames);
  }

 private:
  // Decodes on until the frame after the current one is known.
  void advance() {
    next_ = decoder_.next();
    if (next_) next_tick_ = std::max(tick_of(*next_), current_tick_);
  }

  // Makes shown_ the frame of time `tick`; false after the end.
  bool show(int64_t tick) {
    while (next_ && next_tick_ <= tick) {
      current_ = std::move(next_);
      current_tick_ = next_tick_;
      shown_ = at::Tensor();
      advance();
    }
    if (!next_ && tick >= end_tick()) return false;
    if (!shown_.defined()) shown_ = upright(*current_);
    return true;
  }

  int64_t tick_of(const AVFrame& frame) const {
    const int64_t pts = frame.best_effort_timestamp;
    if (pts == AV_NOPTS_VALUE) return current_tick_ + 1;
    return to_ticks(pts - origin_);
  }

  // Of the last frame, which is the current one.
  int64_t end_tick() const {
    const int64_t duration = av::duration(*current_);
    const int64_t pts = current_->best_effort_timestamp;
    // Frames shorter than a tick end in the one that they begin in: their end is what counts.
    if (is_slower_ && duration > 0 && pts != AV_NOPTS_VALUE)
      return std::max<int64_t>(to_ticks(pts - origin_ + duration), 1);
    return current_tick_ + std::max<int64_t>(to_ticks(duration), 1);
  }

  int64_t to_ticks(int64_t time) const {
    return av_rescale_q(time, decoder_.stream().time_base, av_inv_q(av::to_av(fps_)));
  }

  // To the key frame before the start; back to the beginning where the container cannot.
  void seek() {
    const int64_t target =
        origin_ + av_rescale_q(first_tick_, av_inv_q(av::to_av(fps_)), decoder_.stream().time_base);
    if (decoder_.seek(target)) {
      if (av::Frame frame = decoder_.next(); frame && tick_of(*frame) <= first_tick_) {
        current_ = std::move(frame);
        current_tick_ = tick_of(*current_);
        return;
      }
    }
    if (!decoder_.seek(origin_))
      fail(ErrorKind::Input, "{} cannot be read from {} s", decoder_.path(), options_.start_s);
    current_ = decoder_.next();
    if (!current_) fail_without_frames();
    current_tick_ = 0;
  }

  [[noreturn]] void fail_without_frames() {
    const bool is_webp =
        std::string_view(decoder_.input().context().iformat->name).starts_with("webp");
    if (!is_webp) fail(ErrorKind::Input, "{} holds no frame", decoder_.path());
    FileInfo info;
    info.size_bytes = decoder_.input().size();
    fail(ErrorKind::Input, "{} {}", decoder_.path(),
         describe_animated_webp(decoder_.path(), info)
             ? "is an animated WebP, which this FFmpeg does not decode; give it as .mp4 or .apng"
             : "is damaged or cut off: it holds no whole picture");
  }

  at::Tensor upright(const AVFrame& frame) {
    at::Tensor picture = at::empty({frame.height, frame.width, 3}, at::kByte);
    to_rgb_(frame, picture.mutable_data_ptr<uint8_t>());
    const int64_t wide = orientation_.transposed ? height_ : width_;
    const int64_t high = orientation_.transposed ? width_ : height_;
    if (frame.width != wide || frame.height != high)
      picture = resize(picture, wide, high, Fit::Stretch);
    return apply(orientation_, picture);
  }

  static constexpr double kMaxFps = 1000;

  ReadOptions options_;
  VideoDecoder decoder_;
  Orientation orientation_;
  FrameToRgb to_rgb_{decoder_.untagged_matrix()};
  Rational fps_;
  bool is_slower_ = false;  // than the file's own rate
  int stored_width_ = 0, stored_height_ = 0;
  int64_t width_ = 0, height_ = 0;
  int64_t origin_ = 0;  // the first frame's time in the stream's units
  // The output's timeline counts ticks of 1 / fps.
  int64_t first_tick_ = 0, stop_tick_ = INT64_MAX, tick_ = 0, given_ = 0;
  av::Frame current_, next_;  // next_ is null after the end
  int64_t current_tick_ = 0, next_tick_ = 0;
  at::Tensor shown_;  // current_ as RGB
};

VideoReader::VideoReader(const std::string& path, const ReadOptions& options)
    : impl_(std::make_unique<Impl>(path, options)) {}
VideoReader::~VideoReader() = default;
Rational VideoReader::fps() const { return impl_->fps(); }
int64_t VideoReader::width() const { return impl_->width(); }
int64_t VideoReader::height() const { return impl_->height(); }
at::Tensor VideoReader::read(int64_t max_frames) { return impl_->read(max_frames); }

}  // namespace sora
