// Positions are columns (x, y, 1) of pixels from the middle of a frame or of a part of the mosaic;
// maps between them are 3x3 matrices of double, affine.
#include "lib/provenance/watermark_motion.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace sora {
namespace {

constexpr int64_t kWindows = 3;           // a side, spread over the frame, whose motion is measured
constexpr int64_t kGreatestWindow = 256;  // pixels a side
constexpr int64_t kLeastWindow = 16;
constexpr double kLikelySpread = 3;     // pixels that windows' motions differ by
constexpr double kLikelyError = 0.3;    // of one window's motion, pixels
constexpr double kLeastDistance = 0.5;  // that a picture which does not stand moves in all
constexpr double kGreatestArea = 16;    // of the mosaic, in frames
constexpr double kGreatestZoom = 4;     // of areas
constexpr double kGreatestStep = 1.5;   // of the zoom from frame to frame; more is no motion found

using Matrix = at::Tensor;

double number(const at::Tensor& value) { return value.item<double>(); }

Matrix scaling(double x, double y) { return at::diag(at::tensor({x, y, 1.0}, at::kDouble)); }

// `pictures` [C,H,W] as [C,height,width]: at each position, what is where `map` leads; 0 outside.
at::Tensor warped(const at::Tensor& pictures_CHW, const Matrix& map, int64_t height,
                  int64_t width) {
  constexpr int64_t kBicubic = 2, kZeros = 0;
  const auto half = [](int64_t length) { return static_cast<double>(length - 1) / 2; };
  const Matrix units = at::matmul(
      at::matmul(scaling(1 / half(pictures_CHW.size(2)), 1 / half(pictures_CHW.size(1))), map),
      scaling(half(width), half(height)));
  const at::Tensor grid =
      at::affine_grid_generator(units.narrow(0, 0, 2).unsqueeze(0).to(at::kFloat),
                                {1, 1, height, width}, /*align_corners=*/true);
  return at::grid_sampler_2d(pictures_CHW.unsqueeze(0), grid, kBicubic, kZeros,
                             /*align_corners=*/true)
      .squeeze(0);
}

// The whole pixels of the mosaic around a frame.
struct Part {
  int64_t x = 0, y = 0;  // of its middle
  int64_t half_width = 0, half_height = 0;

  Part(const Matrix& to_mosaic, int64_t height, int64_t width) {
    const at::Tensor reach = to_mosaic.abs();
    const double half_x = static_cast<double>(width) / 2, half_y = static_cast<double>(height) / 2;
    x = std::lround(number(to_mosaic[0][2]));
    y = std::lround(number(to_mosaic[1][2]));
    half_width = 1 + std::lround(number(reach[0][0]) * half_x + number(reach[0][1]) * half_y);
    half_height = 1 + std::lround(number(reach[1][0]) * half_x + number(reach[1][1]) * half_y);
  }

  // From a frame to this part.
  Matrix moved(const Matrix& to_mosaic) const {
    Matrix map = to_mosaic.clone();
    map[0][2] -= static_cast<double>(x);
    map[1][2] -= static_cast<double>(y);
    return map;
  }
};

// Of all frames, each mapped to where it lies: their mean where they overlap.
class Mosaic {
 public:
  Mosaic(const std::vector<at::Tensor>& details_HW, const std::vector<Matrix>& to_mosaic)
      : height_(details_HW.front().size(0)), width_(details_HW.front().size(1)) {
    for (const Matrix& map : to_mosaic) parts_.emplace_back(map, height_, width_);
    int64_t right = 0, bottom = 0;
    for (const Part& part : parts_) {
      left_ = std::min(left_, part.x - part.half_width);
      top_ = std::min(top_, part.y - part.half_height);
      right = std::max(right, part.x + part.half_width);
      bottom = std::max(bottom, part.y + part.half_height);
    }
    const at::Tensor sums = at::zeros({2, bottom - top_ + 1, right - left_ + 1});
    for (size_t t = 0; t < parts_.size(); ++t) {
      const at::Tensor frame = details_HW[t].to(at::kFloat);
      at::Tensor sum = cut(sums, parts_[t]);
      sum += warped(at::stack({frame, at::ones_like(frame)}),
                    at::linalg_inv(parts_[t].moved(to_mosaic[t])), sum.size(1), sum.size(2));
    }
    mean_ = (sums[0] / sums[1].clamp_min(1)).unsqueeze(0);
  }

  // What of it frame `t` shows, if it is mapped so.
  at::Tensor seen_by(size_t t, const Matrix& to_mosaic) const {
    return warped(cut(mean_, parts_[t]), parts_[t].moved(to_mosaic), height_, width_)[0];
  }

 private:
  at::Tensor cut(const at::Tensor& mosaic_CHW, const Part& part) const {
    return mosaic_CHW.narrow(1, part.y - part.half_height - top_, 2 * part.half_height + 1)
        .narrow(2, part.x - part.half_width - left_, 2 * part.half_width + 1);
  }

  int64_t height_, width_;
  int64_t left_ = 0, top_ = 0;
  std::vector<Part> parts_;
  at::Tensor mean_;  // [1,H,W]
};

int64_t window_length(int64_t length) { return std::min(length / 2, kGreatestWindow); }

// [kWindows^2, height, width], each faded out towards its border.
at::Tensor windows(const at::Tensor& picture_HW) {
  const int64_t height = window_length(picture_HW.size(0)),
                width = window_length(picture_HW.size(1));
  const auto start = [](int64_t i, int64_t length, int64_t window) {
    return (length - window) * i / (kWindows - 1);
  };
  std::vector<at::Tensor> cut;
  for (int64_t i = 0; i < kWindows * kWindows; ++i)
    cut.push_back(picture_HW.narrow(0, start(i / kWindows, picture_HW.size(0), height), height)
                      .narrow(1, start(i % kWindows, picture_HW.size(1), width), width));
  return at::stack(cut).to(at::kFloat) * at::hann_window(height).unsqueeze(1) *
         at::hann_window(width);
}

// [kWindows^2, 3]: positions of the windows' middles.
at::Tensor middles(int64_t height, int64_t width) {
  const auto along = [](int64_t length) {
    const auto reach = static_cast<double>(length - window_length(length)) / 2;
    return at::linspace(-reach, reach, kWindows, at::kDouble);
  };
  const at::Tensor ones = at::ones({kWindows * kWindows}, at::kDouble);
  return at::stack(
      {along(width).repeat({kWindows}), along(height).repeat_interleave(kWindows), ones}, 1);
}

// Where a parabola through the greatest of a circle of values and its neighbours has its top, from
// -length / 2 to length / 2.
double top_of_peak(const at::Tensor& values, int64_t at) {
  const int64_t length = values.size(0);
  const auto value = [&](int64_t i) { return number(values[(i + length) % length]); };
  const double before = value(at - 1), here = value(at), after = value(at + 1);
  const double curvature = before - 2 * here + after;
  const double top =
      static_cast<double>(at) + (curvature < 0 ? (before - after) / (2 * curvature) : 0);
  return top > static_cast<double>(length) / 2 ? top - static_cast<double>(length) : top;
}

// [kWindows^2, 2]: by what the second picture's content lies further right and below in each
// window, by the greatest value of the circular cross-correlation.
at::Tensor motions(const at::Tensor& first_HW, const at::Tensor& second_HW) {
  const at::Tensor first = windows(first_HW), second = windows(second_HW);
  const int64_t width = first.size(2);
  const at::Tensor correlations =
      at::fft_irfft2(at::fft_rfft2(first).conj() * at::fft_rfft2(second), first.sizes().slice(1));
  std::vector<double> found;
  for (const at::Tensor& correlation : correlations.unbind(0)) {
    const auto best = correlation.reshape(-1).argmax().item<int64_t>();
    found.push_back(top_of_peak(correlation.select(0, best / width), best % width));
    found.push_back(top_of_peak(correlation.select(1, best % width), best / width));
  }
  return at::tensor(found, at::kDouble).reshape({-1, 2});
}

// The affine map from positions in the first picture to those of the same content in the second: a
// least-squares fit in which windows that move otherwise than the rest count less and less.
Matrix map_between(const at::Tensor& first_HW, const at::Tensor& second_HW) {
  constexpr int kRounds = 5;
  const at::Tensor at = middles(first_HW.size(0), first_HW.size(1));
  const at::Tensor moved = motions(first_HW, second_HW);
  const auto weights = [](const at::Tensor& errors, double likely) {
    return 1 / (1 + errors.square().sum(1, /*keepdim=*/true) / (likely * likely));
  };
  at::Tensor weight = weights(moved - std::get<0>(moved.median(0)), kLikelySpread);
  at::Tensor fit;  // [3,2]
  for (int round = 0; round < kRounds; ++round) {
    const at::Tensor weighted = (weight * at).t();
    fit = at::linalg_solve(at::matmul(weighted, at), at::matmul(weighted, moved));
    weight = weights(moved - at::matmul(at, fit), kLikelyError);
  }
  Matrix map = at::eye(3, at::kDouble);
  map.narrow(0, 0, 2) += fit.t();
  const double zoom = number(at::linalg_det(map));
  return zoom > 1 / kGreatestStep && zoom < kGreatestStep ? map : at::eye(3, at::kDouble);
}

// By the motion from each frame to the next.
std::vector<Matrix> maps_of(const std::vector<at::Tensor>& details_HW) {
  std::vector<Matrix> maps = {at::eye(3, at::kDouble)};
  for (size_t t = 1; t < details_HW.size(); ++t)
    maps.push_back(
        at::matmul(maps.back(), at::linalg_inv(map_between(details_HW[t - 1], details_HW[t]))));
  return maps;
}

// By the motion against the mosaic, in which errors do not add up.
void refine(const std::vector<at::Tensor>& details_HW, std::vector<Matrix>& maps) {
  const Mosaic mosaic(details_HW, maps);
  for (size_t t = 0; t < details_HW.size(); ++t) {
    const Matrix step = map_between(mosaic.seen_by(t, maps[t]), details_HW[t]);
    maps[t] = at::matmul(maps[t], at::linalg_inv(step));
  }
}

bool are_usable(const std::vector<Matrix>& maps, const at::Tensor& frame_HW) {
  const auto height = static_cast<double>(frame_HW.size(0)),
             width = static_cast<double>(frame_HW.size(1));
  const at::Tensor all = at::stack(maps);  // [T,3,3]
  const at::Tensor zoom = at::linalg_det(all).abs();
  if (!(number(zoom.max()) < kGreatestZoom && number(zoom.min()) > 1 / kGreatestZoom)) return false;
  // Of the corners, which tell a zoom too.
  const at::Tensor corners = at::tensor({-width, width, -width, width, -height, -height, height,
                                         height, 2.0, 2.0, 2.0, 2.0},
                                        at::kDouble)
                                 .reshape({3, 4}) /
                             2;
  const at::Tensor places = at::matmul(all, corners);  // [T,3,4]
  const at::Tensor moved = std::get<0>(places.max(0)) - std::get<0>(places.min(0));
  const at::Tensor extent = places.amax({0, 2}) - places.amin({0, 2});
  return number(moved.max()) >= kLeastDistance &&
         number(extent[0] * extent[1]) <= kGreatestArea * height * width;
}

}  // namespace

std::vector<at::Tensor> without_moving_picture(const std::vector<at::Tensor>& details_HW) {
  const at::Tensor& first = details_HW.front();
  if (window_length(std::min(first.size(0), first.size(1))) < kLeastWindow) return {};
  std::vector<Matrix> maps = maps_of(details_HW);
  if (!are_usable(maps, first)) return {};
  refine(details_HW, maps);
  if (!are_usable(maps, first)) return {};
  const Mosaic mosaic(details_HW, maps);
  std::vector<at::Tensor> rest;
  for (size_t t = 0; t < details_HW.size(); ++t)
    rest.push_back((details_HW[t].to(at::kFloat) - mosaic.seen_by(t, maps[t]))
                       .round_()
                       .clamp_(-127, 127)
                       .to(at::kChar));
  return rest;
}

}  // namespace sora
