// Where the eye sees least the pattern is strongest: its amplitude follows the picture's own detail around a pixel.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "lib/provenance/digest.h"
#include "lib/provenance/luma_details.h"
#include "lib/provenance/watermark.h"
#include "lib/provenance/watermark_code.h"
#include "lib/provenance/watermark_pattern.h"

namespace sora {
namespace {

constexpr int64_t kTile = WatermarkPattern::kTile;
constexpr int64_t kDetailRadius = 3;   // detail is what a mean over this radius takes away
constexpr int64_t kAroundRadius = 4;   // and is looked at over this
constexpr float kLeastStrength = 2;    // of the pattern in a flat place, beside the detail's mean size
constexpr float kGreatestStrength = 8;
constexpr double kNoticeableLoss = 1.1, kGreatestMakeUp = 1.6;
constexpr double kRoundingNoise = 1.0 / 12;  // mean square of what rounding to whole values adds

Plane strength_of(const Plane& luma) {
  Plane detail = box_mean(luma, kDetailRadius);
  for (size_t i = 0; i < detail.values.size(); ++i) detail.values[i] = std::abs(luma.values[i] - detail.values[i]);
  Plane strength = box_mean(detail, kAroundRadius);
  for (float& value : strength.values) value = std::min(kLeastStrength + value, kGreatestStrength);
  return strength;
}

// Adds the mark times `gain` to all three channels; the squared changes, summed over pixels, as their mean over channels.
double add(const Plane& mark, double gain, const uint8_t* rgb_HWC, uint8_t* marked_HWC) {
  int64_t squares = 0;
  for (size_t i = 0; i < mark.values.size(); ++i) {
    const auto change = static_cast<int>(std::lrint(mark.values[i] * gain));
    for (size_t channel = 3 * i; channel < 3 * i + 3; ++channel) {
      const int before = rgb_HWC[channel], after = std::clamp(before + change, 0, 255);
      marked_HWC[channel] = static_cast<uint8_t>(after);
      squares += (after - before) * (after - before);
    }
  }
  return static_cast<double>(squares) / 3;
}

void mark_frame(const uint8_t* rgb_HWC, uint8_t* marked_HWC, int64_t height, int64_t width,
                const std::vector<float>& tile) {
  Plane mark = strength_of(luma_of(rgb_HWC, height, width));
  double power = 0;
  for (int64_t y = 0; y < height; ++y) {
    float* row = mark.row(y);
    const float* pattern = tile.data() + y % kTile * kTile;
    float row_power = 0;
    for (int64_t left = 0; left < width; left += kTile) {
      const int64_t count = std::min(kTile, width - left);
      for (int64_t x = 0; x < count; ++x) {
        row[left + x] *= pattern[x];
        row_power += row[left + x] * row[left + x];
      }
    }
    power += row_power;
  }
  const double wanted = (255.0 * 255.0 / std::pow(10.0, WatermarkEmbedder::kPsnr / 10) - kRoundingNoise) *
                        static_cast<double>(height * width);
  const double gain = std::sqrt(wanted / power);
  // Black and white swallow a half of it, which the rest makes up for.
  const double lost = wanted / std::max(add(mark, gain, rgb_HWC, marked_HWC), 1.0);
  if (lost > kNoticeableLoss) add(mark, gain * std::min(std::sqrt(lost), kGreatestMakeUp), rgb_HWC, marked_HWC);
}

}  // namespace

uint64_t watermark_payload(const std::string& manifest_json) {
  const std::string digest = sha256_of_bytes(manifest_json);
  uint64_t payload = 0;
  std::from_chars(digest.data(), digest.data() + 16, payload, 16);
  return payload;
}

std::string watermark_id(uint64_t payload) { return fmt::format("{:016x}", payload); }

WatermarkEmbedder::WatermarkEmbedder(uint64_t payload)
    : tile_(WatermarkPattern(watermark_key()).tile(encode_watermark(payload))) {}

at::Tensor WatermarkEmbedder::operator()(const at::Tensor& frames_FHWC) const {
  const at::Tensor frames = frames_FHWC.contiguous();
  at::Tensor marked = at::empty_like(frames);
  const int64_t height = frames.size(1), width = frames.size(2), frame_bytes = height * width * 3;
  for (int64_t i = 0; i < frames.size(0); ++i) {
    mark_frame(frames.const_data_ptr<uint8_t>() + i * frame_bytes, marked.mutable_data_ptr<uint8_t>() + i * frame_bytes,
               height, width, tile_);
  }
  return marked;
}

}  // namespace sora
