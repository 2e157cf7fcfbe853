#include "lib/provenance/luma_details.h"

#include <algorithm>

namespace sora {

Plane luma_of(const uint8_t* rgb_HWC, int64_t height, int64_t width) {
  Plane luma(height, width);
  float* out = luma.values.data();
  for (int64_t i = 0; i < height * width; ++i) {
    out[i] = 0.2126f * static_cast<float>(rgb_HWC[3 * i]) + 0.7152f * static_cast<float>(rgb_HWC[3 * i + 1]) +
             0.0722f * static_cast<float>(rgb_HWC[3 * i + 2]);
  }
  return luma;
}

Plane box_mean(const Plane& plane, int64_t radius) {
  const int64_t height = plane.height, width = plane.width;
  const float scale = 1.0f / static_cast<float>(2 * radius + 1);
  // Down the columns, a whole row at a time: the sum moves on by the row that comes in and the one that goes.
  Plane columns(height, width);
  const auto at = [&](int64_t y) { return plane.row(std::clamp<int64_t>(y, 0, height - 1)); };
  std::vector<float> sum(static_cast<size_t>(width), 0.0f);
  for (int64_t y = -radius; y <= radius; ++y) {
    const float* row = at(y);
    for (int64_t x = 0; x < width; ++x) sum[x] += row[x];
  }
  for (int64_t y = 0; y < height; ++y) {
    float* out = columns.row(y);
    const float* in = at(y + radius + 1);
    const float* gone = at(y - radius);
    for (int64_t x = 0; x < width; ++x) {
      out[x] = sum[x] * scale;
      sum[x] += in[x] - gone[x];
    }
  }
  Plane mean(height, width);
  for (int64_t y = 0; y < height; ++y) {
    const float* in = columns.row(y);
    float* out = mean.row(y);
    float running = 0;
    for (int64_t x = -radius; x <= radius; ++x) running += in[std::clamp<int64_t>(x, 0, width - 1)];
    for (int64_t x = 0; x < width; ++x) {
      out[x] = running * scale;
      running += in[std::min(x + radius + 1, width - 1)] - in[std::max<int64_t>(x - radius, 0)];
    }
  }
  return mean;
}

}  // namespace sora
