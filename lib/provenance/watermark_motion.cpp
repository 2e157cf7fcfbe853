#include "lib/provenance/watermark_motion.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace sora {
namespace {

constexpr int64_t kSide = 512;  // pixels of the middle by which motion is measured
// Pixels that the picture moves in all: half of the pattern's shortest wave.
constexpr double kLeastDistance = 6;
constexpr int64_t kGreatestArea = 16;  // of the mosaic, in frames

struct Point {
  double x = 0;
  double y = 0;
};

// Where a frame lies in the mosaic, in whole pixels.
struct Place {
  int64_t left = 0;
  int64_t top = 0;
};

at::Tensor middle(const at::Tensor& details_HW) {
  const int64_t height = std::min(kSide, details_HW.size(0));
  const int64_t width = std::min(kSide, details_HW.size(1));
  return details_HW.narrow(0, (details_HW.size(0) - height) / 2, height)
      .narrow(1, (details_HW.size(1) - width) / 2, width)
      .to(at::kFloat);
}

// Where a parabola through the greatest of a circle of values and its neighbours has its top, from
// -length / 2 to length / 2.
double top_of_peak(const at::Tensor& values, int64_t at) {
  const int64_t length = values.size(0);
  const auto value = [&](int64_t i) { return values[(i + length) % length].item<double>(); };
  const double before = value(at - 1), here = value(at), after = value(at + 1);
  const double curvature = before - 2 * here + after;
  const double top =
      static_cast<double>(at) + (curvature < 0 ? (before - after) / (2 * curvature) : 0);
  return top > static_cast<double>(length) / 2 ? top - static_cast<double>(length) : top;
}

// Of each frame against the first, right and down: the sum of its neighbours' motions, each the
// greatest value of their circular cross-correlation.
std::vector<Point> path_of(const std::vector<at::Tensor>& details_HW) {
  std::vector<Point> path;
  at::Tensor before;
  for (const at::Tensor& frame : details_HW) {
    const at::Tensor picture = middle(frame);
    const int64_t height = picture.size(0), width = picture.size(1);
    const at::Tensor now = at::fft_rfft2(picture);
    if (path.empty()) {
      path.emplace_back();
    } else {
      const at::Tensor correlation = at::fft_irfft2(before.conj() * now, {{height, width}});
      const auto best = correlation.reshape(-1).argmax().item<int64_t>();
      const int64_t x = best % width, y = best / width;
      path.push_back({path.back().x + top_of_peak(correlation.select(0, y), x),
                      path.back().y + top_of_peak(correlation.select(1, x), y)});
    }
    before = now;
  }
  return path;
}

// The places in the mosaic, the leftmost being 0 and the topmost too.
std::vector<Place> places_along(const std::vector<Point>& path) {
  Point most;
  for (const Point& point : path) most = {std::max(most.x, point.x), std::max(most.y, point.y)};
  std::vector<Place> places;
  for (const Point& point : path)
    places.push_back(
        {std::lround(most.x) - std::lround(point.x), std::lround(most.y) - std::lround(point.y)});
  return places;
}

}  // namespace

std::vector<at::Tensor> without_moving_picture(const std::vector<at::Tensor>& details_HW) {
  const std::vector<Place> places = places_along(path_of(details_HW));
  const int64_t height = details_HW.front().size(0), width = details_HW.front().size(1);
  Place last;
  for (const Place& place : places)
    last = {std::max(last.left, place.left), std::max(last.top, place.top)};
  const auto distance = std::hypot(last.left, last.top);
  const int64_t tall = height + last.top, wide = width + last.left;
  if (distance < kLeastDistance || tall * wide > kGreatestArea * height * width) return {};

  at::Tensor mosaic = at::zeros({tall, wide}, at::kFloat), count = at::zeros_like(mosaic);
  const auto part = [&](at::Tensor& whole, size_t t) {
    return whole.narrow(0, places[t].top, height).narrow(1, places[t].left, width);
  };
  for (size_t t = 0; t < details_HW.size(); ++t) {
    part(mosaic, t).add_(details_HW[t]);
    part(count, t).add_(1);
  }
  mosaic.div_(count.clamp_min_(1));
  std::vector<at::Tensor> rest;
  for (size_t t = 0; t < details_HW.size(); ++t)
    rest.push_back(
        (details_HW[t].to(at::kFloat) - part(mosaic, t)).round_().clamp_(-127, 127).to(at::kChar));
  return rest;
}

}  // namespace sora
