// The frame size half of resample.h: zimg, plane by plane.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/media/planes.h"
#include "lib/media/resample.h"

namespace sora {
namespace {

PlaneFormat rgb_planes(int64_t width, int64_t height) {
  PlaneFormat format;
  format.width = static_cast<int>(width);
  format.height = static_cast<int>(height);
  return format;
}

// The largest part in the middle with the target's aspect.
Region middle_part(int64_t source_width, int64_t source_height, int64_t width, int64_t height) {
  const double scale =
      std::min(double(source_width) / double(width), double(source_height) / double(height));
  const double part_width = double(width) * scale, part_height = double(height) * scale;
  return {(double(source_width) - part_width) / 2, (double(source_height) - part_height) / 2,
          part_width, part_height};
}

}  // namespace

class Resizer::Impl {
 public:
  Impl(int64_t source_width, int64_t source_height, int64_t width, int64_t height, Fit fit)
      : source_width_(source_width),
        source_height_(source_height),
        width_(width),
        height_(height),
        inner_width_(width),
        inner_height_(height),
        part_{0, 0, double(source_width), double(source_height)} {
    if (std::min({source_width, source_height, width, height}) < 1) {
      fail(ErrorKind::Usage, "a picture of {}x{} cannot be resized to {}x{}", source_width,
           source_height, width, height);
    }
    if (fit == Fit::Crop) part_ = middle_part(source_width, source_height, width, height);
    if (fit == Fit::Pad) {
      const double scale =
          std::min(double(width) / double(source_width), double(height) / double(source_height));
      inner_width_ = std::clamp<int64_t>(std::llround(double(source_width) * scale), 1, width);
      inner_height_ = std::clamp<int64_t>(std::llround(double(source_height) * scale), 1, height);
    }
  }

  at::Tensor operator()(const at::Tensor& frames_FHWC) const {
    if (frames_FHWC.size(1) != source_height_ || frames_FHWC.size(2) != source_width_) {
      fail(ErrorKind::Internal, "a resizer of {}x{} pixels was given frames of {}x{}",
           source_width_, source_height_, frames_FHWC.size(2), frames_FHWC.size(1));
    }
    if (source_width_ == width_ && source_height_ == height_) return frames_FHWC;
    const at::Tensor source = frames_FHWC.contiguous();
    const int64_t num_frames = source.size(0);
    const bool padded = inner_width_ != width_ || inner_height_ != height_;
    const auto bytes = source.options();
    at::Tensor result = padded ? at::zeros({num_frames, height_, width_, 3}, bytes)
                               : at::empty({num_frames, height_, width_, 3}, bytes);
    at::parallel_for(0, num_frames, 1, [&](int64_t begin, int64_t end) {
      const Planes from(rgb_planes(source_width_, source_height_));
      const Planes to(rgb_planes(inner_width_, inner_height_));
      PlaneConverter convert(from.format(), part_, to.format(), ResizeFilter::Lanczos);
      at::Tensor inner = at::empty({inner_height_, inner_width_, 3}, bytes);
      for (int64_t f = begin; f < end; ++f) {
        split_rgb(source.const_data_ptr<uint8_t>() + f * source_height_ * source_width_ * 3,
                  source_width_, source_height_, from);
        convert(from.view(), to.view());
        if (!padded) {
          join_rgb(to.view(), width_, height_,
                   result.mutable_data_ptr<uint8_t>() + f * height_ * width_ * 3);
          continue;
        }
        join_rgb(to.view(), inner_width_, inner_height_, inner.mutable_data_ptr<uint8_t>());
        result[f]
            .narrow(0, (height_ - inner_height_) / 2, inner_height_)
            .narrow(1, (width_ - inner_width_) / 2, inner_width_)
            .copy_(inner);
      }
    });
    return result;
  }

 private:
  int64_t source_width_, source_height_, width_, height_;
  int64_t inner_width_, inner_height_;  // the picture inside its black bars
  Region part_;
};

Resizer::Resizer(int64_t source_width, int64_t source_height, int64_t width, int64_t height,
                 Fit fit)
    : impl_(std::make_unique<Impl>(source_width, source_height, width, height, fit)) {}
Resizer::~Resizer() = default;
Resizer::Resizer(Resizer&&) noexcept = default;
Resizer& Resizer::operator=(Resizer&&) noexcept = default;
at::Tensor Resizer::operator()(const at::Tensor& frames_FHWC) const {
  return (*impl_)(frames_FHWC);
}

at::Tensor resize(const at::Tensor& frames, int64_t width, int64_t height, Fit fit) {
  if (frames.dim() == 3) return resize(frames.unsqueeze(0), width, height, fit).squeeze(0);
  return Resizer(frames.size(2), frames.size(1), width, height, fit)(frames);
}

}  // namespace sora
