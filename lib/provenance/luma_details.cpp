// Rows are gone through in blocks of a constant number of pixels, which the compiler makes vectors
// of; planes are the caller's, who uses them again: fresh memory costs as much as the means.
#include "lib/provenance/luma_details.h"

#include <algorithm>
#include <cmath>

namespace sora {
namespace {

constexpr int64_t kBlock = 16;
constexpr int64_t kAroundRadius = 8;
constexpr float kGreatestDetail = 2.5f;  // in units of what is usual
constexpr float kLeastUsual = 1.0f;      // grey levels

// `sum` moves on by the row that comes in and the one that goes.
[[gnu::always_inline]] inline void move_down(const float* __restrict in,
                                             const float* __restrict gone, int64_t width,
                                             float* __restrict sum) {
  int64_t x = 0;
  for (; x + kBlock <= width; x += kBlock) {
    for (int64_t k = 0; k < kBlock; ++k) sum[x + k] += in[x + k] - gone[x + k];
  }
  for (; x < width; ++x) sum[x] += in[x] - gone[x];
}

// out[x] = scale times the sum of in[x] to in[x + span - 1].
[[gnu::always_inline]] inline void sum_along(const float* __restrict in, int64_t span, float scale,
                                             int64_t width, float* __restrict out) {
  int64_t x = 0;
  for (; x + kBlock <= width; x += kBlock) {
    float total[kBlock] = {};
    for (int64_t tap = 0; tap < span; ++tap) {
      for (int64_t k = 0; k < kBlock; ++k) total[k] += in[x + tap + k];
    }
    for (int64_t k = 0; k < kBlock; ++k) out[x + k] = total[k] * scale;
  }
  for (; x < width; ++x) {
    float total = 0;
    for (int64_t tap = 0; tap < span; ++tap) total += in[x + tap];
    out[x] = total * scale;
  }
}

}  // namespace

SORA_WIDE_VECTORS void luma_of(const uint8_t* __restrict rgb_HWC, Plane& luma) {
  const auto luma_at = [&](int64_t i) {
    return 0.2126f * static_cast<float>(rgb_HWC[3 * i]) +
           0.7152f * static_cast<float>(rgb_HWC[3 * i + 1]) +
           0.0722f * static_cast<float>(rgb_HWC[3 * i + 2]);
  };
  float* __restrict out = luma.values.data();
  const int64_t size = luma.height * luma.width;
  int64_t i = 0;
  for (; i + kBlock <= size; i += kBlock) {
    for (int64_t k = 0; k < kBlock; ++k) out[i + k] = luma_at(i + k);
  }
  for (; i < size; ++i) out[i] = luma_at(i);
}

SORA_WIDE_VECTORS void box_mean(const Plane& plane, int64_t radius, Plane& mean) {
  const int64_t height = plane.height, width = plane.width, span = 2 * radius + 1;
  const float scale = 1.0f / static_cast<float>(span * span);
  const auto at = [&](int64_t y) { return plane.row(std::clamp<int64_t>(y, 0, height - 1)); };
  std::vector<float> line(static_cast<size_t>(width + 2 * radius),
                          0.0f);  // the columns' sums, its ends repeated
  float* sum = line.data() + radius;
  for (int64_t y = -radius; y <= radius; ++y) {
    const float* row = at(y);
    for (int64_t x = 0; x < width; ++x) sum[x] += row[x];
  }
  for (int64_t y = 0; y < height; ++y) {
    std::fill_n(line.data(), radius, sum[0]);
    std::fill_n(sum + width, radius, sum[width - 1]);
    sum_along(line.data(), span, scale, width, mean.row(y));
    move_down(at(y + radius + 1), at(y - radius), width, sum);
  }
}

void normalise_details(const Plane& luma, NormalisedDetails& result) {
  const int64_t height = luma.height, width = luma.width;
  if (result.detail.height != height || result.detail.width != width)
    result = {Plane(height, width), Plane(height, width), Plane(height, width)};
  Plane& square = result.scratch;
  float* __restrict detail = result.detail.values.data();
  float* __restrict unit = result.unit.values.data();
  const auto size = static_cast<int64_t>(luma.values.size());
  box_mean(luma, kDetailRadius, square);
  box_mean(square, kDetailRadius, result.unit);
  for (int64_t i = 0; i < size; ++i) {
    detail[i] = luma.values[i] - unit[i];
    square.values[i] = detail[i] * detail[i];
  }
  box_mean(square, kAroundRadius, result.unit);
  for (int64_t i = 0; i < size; ++i) {
    unit[i] = std::sqrt(std::max(unit[i], 0.0f)) + kLeastUsual;
    detail[i] = std::clamp(detail[i] / unit[i], -kGreatestDetail, kGreatestDetail);
  }
}

}  // namespace sora
