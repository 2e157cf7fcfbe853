#include "lib/media/motion_interpolator.h"

#include <fmt/format.h>

namespace sora {
namespace {

// minterpolate works between the second and third of four frames, so the clip's ends are given
// twice more.
constexpr int kLead = 2;
constexpr int kTail = 3;

// The whole range of 8 bits loses less on the way through YUV than the limited one.
constexpr AVPixelFormat kPixelFormat = AV_PIX_FMT_YUVJ444P;

PlaneFormat picture(int64_t width, int64_t height, ColorFamily family) {
  PlaneFormat format;
  format.width = static_cast<int>(width);
  format.height = static_cast<int>(height);
  format.family = family;
  return format;
}

}  // namespace

MotionInterpolator::MotionInterpolator(int64_t width, int64_t height, Rational from, Rational to)
    : width_(width),
      height_(height),
      rgb_(picture(width, height, ColorFamily::Rgb)),
      to_yuv_(rgb_.format(), picture(width, height, ColorFamily::Yuv)),
      to_rgb_(kMatrixBt709),
      graph_({FilterInput{static_cast<int>(width), static_cast<int>(height), kPixelFormat, from}},
             fmt::format("[in0]minterpolate=fps={}/"
                         "{}:mi_mode=mci:mc_mode=obmc:me_mode=bilat,format=yuvj444p",
                         to.num, to.den)),
      next_pts_(-kLead) {}

void MotionInterpolator::push(const at::Tensor& frame_HWC) {
  const at::Tensor frame = frame_HWC.contiguous();
  while (next_pts_ < 0) feed(frame);
  feed(frame);
  last_ = frame;
}

void MotionInterpolator::finish() {
  for (int i = 0; i < kTail && last_.defined(); ++i) feed(last_);
  graph_.close(0);
}

void MotionInterpolator::feed(const at::Tensor& frame_HWC) {
  av::Frame frame =
      av::make_frame(static_cast<int>(width_), static_cast<int>(height_), kPixelFormat);
  frame->color_range = AVCOL_RANGE_JPEG;
  frame->colorspace = AVCOL_SPC_BT709;
  frame->pts = next_pts_++;
  split_rgb(frame_HWC.const_data_ptr<uint8_t>(), width_, height_, rgb_);
  PlaneView target;
  for (int plane = 0; plane < 3; ++plane) {
    target.data[plane] = frame->data[plane];
    target.stride[plane] = frame->linesize[plane];
  }
  to_yuv_(rgb_.view(), target);
  graph_.push(0, std::move(frame));
}

std::pair<int64_t, at::Tensor> MotionInterpolator::pull() {
  while (const av::Frame frame = graph_.pull()) {
    if (frame->pts < 0) continue;  // between the repeated first frames
    at::Tensor rgb = at::empty({height_, width_, 3}, at::kByte);
    to_rgb_(*frame, rgb.mutable_data_ptr<uint8_t>());
    return {frame->pts, rgb};
  }
  return {-1, at::Tensor()};
}

}  // namespace sora
