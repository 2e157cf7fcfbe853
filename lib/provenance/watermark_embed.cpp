// Where the eye sees least the pattern is strongest: its amplitude follows the picture's own detail
// around a pixel.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <iterator>
#include <numeric>

#include "lib/provenance/digest.h"
#include "lib/provenance/luma_details.h"
#include "lib/provenance/watermark.h"
#include "lib/provenance/watermark_code.h"
#include "lib/provenance/watermark_pattern.h"

namespace sora {
namespace {

constexpr int64_t kMaskRadius = 3;        // detail is what a mean over this radius takes away
constexpr int64_t kMaskAroundRadius = 4;  // and is looked at over this
// Of the pattern in a flat place, beside the detail's mean size.
constexpr float kLeastStrength = 2;
constexpr float kGreatestStrength = 8;
constexpr int64_t kFramesAPlan = 8;  // share a pattern, planned by the first of them
constexpr double kNoticeableLoss = 1.1, kGreatestMakeUp = 1.6;
constexpr double kRoundingNoise = 1.0 / 12;  // mean square of what rounding to whole values adds

// Fills `mark` with how strong the pattern is at each pixel of `luma`.
SORA_WIDE_VECTORS void strength_of(WatermarkPlanes& planes) {
  box_mean(planes.luma, kMaskRadius, planes.smooth);
  const float* __restrict luma = planes.luma.values.data();
  float* __restrict smooth = planes.smooth.values.data();
  const auto size = static_cast<int64_t>(planes.luma.values.size());
  for (int64_t i = 0; i < size; ++i) smooth[i] = std::abs(luma[i] - smooth[i]);
  box_mean(planes.smooth, kMaskAroundRadius, planes.mark);
  float* __restrict mark = planes.mark.values.data();
  for (int64_t i = 0; i < size; ++i)
    mark[i] = std::min(kLeastStrength + mark[i], kGreatestStrength);
}

// To nearest, for values well below 2^22, without a call into the C library: the sum's last bits
// are the whole number.
[[gnu::always_inline]] inline int rounded(float value) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23
  return std::bit_cast<int32_t>(value + kShift) - std::bit_cast<int32_t>(kShift);
}

// As add(), of N pixels.
template <int64_t N>
[[gnu::always_inline]] inline int64_t add_block(const float* __restrict mark, float gain,
                                                const uint8_t* __restrict rgb,
                                                uint8_t* __restrict marked) {
  int16_t change[3 * N];
  for (int64_t k = 0; k < N; ++k)
    change[3 * k] = change[3 * k + 1] = change[3 * k + 2] =
        static_cast<int16_t>(rounded(mark[k] * gain));
  int32_t squares = 0;
  for (int64_t k = 0; k < 3 * N; ++k) {
    const int16_t before = rgb[k];
    const auto wanted = static_cast<int16_t>(before + change[k]);
    const int16_t after = wanted < 0 ? int16_t{0} : wanted > 255 ? int16_t{255} : wanted;
    marked[k] = static_cast<uint8_t>(after);
    const auto done = static_cast<int16_t>(after - before);
    squares += done * done;
  }
  return squares;
}

// Adds the mark times `gain` to all three channels; the squared changes, summed over pixels, as
// their mean over channels.
SORA_WIDE_VECTORS double add(const Plane& mark, double gain, const uint8_t* rgb_HWC,
                             uint8_t* marked_HWC) {
  constexpr int64_t kBlock = 16;
  const auto size = static_cast<int64_t>(mark.values.size());
  const auto scale = static_cast<float>(gain);
  int64_t squares = 0, i = 0;
  for (; i + kBlock <= size; i += kBlock)
    squares += add_block<kBlock>(&mark.values[i], scale, rgb_HWC + 3 * i, marked_HWC + 3 * i);
  for (; i < size; ++i)
    squares += add_block<1>(&mark.values[i], scale, rgb_HWC + 3 * i, marked_HWC + 3 * i);
  return static_cast<double>(squares) / 3;
}

// Mean square of the mark at each pixel.
double wanted_power() {
  return 255.0 * 255.0 / std::pow(10.0, WatermarkEmbedder::kPsnr / 10) - kRoundingNoise;
}

// Multiplies the strength by the tile; the sum of the squares.
SORA_WIDE_VECTORS double multiply(Plane& strength, const std::vector<float>& tile) {
  constexpr int64_t kBlock = 8;
  static_assert(kWatermarkTile % kBlock == 0);
  double power = 0;
  for (int64_t y = 0; y < strength.height; ++y) {
    float* row = strength.row(y);
    const float* pattern = tile.data() + y % kWatermarkTile * kWatermarkTile;
    float squares[kBlock] = {};
    int64_t x = 0;
    for (; x + kBlock <= strength.width; x += kBlock) {
      const float* __restrict factor = pattern + x % kWatermarkTile;
      float* __restrict value = row + x;
      for (int64_t k = 0; k < kBlock; ++k) {
        value[k] *= factor[k];
        squares[k] += value[k] * value[k];
      }
    }
    for (; x < strength.width; ++x) {
      row[x] *= pattern[x % kWatermarkTile];
      squares[0] += row[x] * row[x];
    }
    power += std::accumulate(std::begin(squares), std::end(squares), 0.0);
  }
  return power;
}

// `mark` is the pattern's strength; `share` of its amplitude is wanted, -1 to 1.
void mark_frame(const uint8_t* rgb_HWC, uint8_t* marked_HWC, const std::vector<float>& tile,
                double share, Plane& mark) {
  const double power = multiply(mark, tile);
  const double wanted = share * share * wanted_power() * static_cast<double>(mark.values.size());
  const double gain = std::copysign(std::sqrt(wanted / power), share);
  // Black and white swallow a half of it, which the rest makes up for.
  const double lost = wanted / std::max(add(mark, gain, rgb_HWC, marked_HWC), 1.0);
  if (lost > kNoticeableLoss)
    add(mark, gain * std::min(std::sqrt(lost), kGreatestMakeUp), rgb_HWC, marked_HWC);
}

// Of the plan's amplitude, in a frame so many after the plan. A pattern that changes its sign does
// so in three steps, which are seen less than one.
double share_of(int64_t frame, bool turns) {
  constexpr double kSteps[] = {-1.0 / 3, 1.0 / 3};
  return turns && frame < std::ssize(kSteps) ? kSteps[frame] : 1;
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
    : plan_(WatermarkPattern(watermark_key()), encode_watermark(payload)) {}

at::Tensor WatermarkEmbedder::operator()(const at::Tensor& frames_FHWC) {
  const at::Tensor frames = frames_FHWC.contiguous();
  at::Tensor marked = at::empty_like(frames);
  const int64_t height = frames.size(1), width = frames.size(2), frame_bytes = height * width * 3;
  if (planes_.luma.height != height || planes_.luma.width != width)
    planes_ = WatermarkPlanes(height, width);
  for (int64_t i = 0; i < frames.size(0); ++i) {
    const uint8_t* rgb_HWC = frames.const_data_ptr<uint8_t>() + i * frame_bytes;
    luma_of(rgb_HWC, planes_.luma);
    strength_of(planes_);
    const int64_t frame = num_marked_++ % kFramesAPlan;
    if (frame == 0) plan_.look_at(planes_.luma, planes_.mark, wanted_power());
    mark_frame(rgb_HWC, marked.mutable_data_ptr<uint8_t>() + i * frame_bytes, plan_.tile(),
               share_of(frame, plan_.turns()), planes_.mark);
  }
  return marked;
}

}  // namespace sora
