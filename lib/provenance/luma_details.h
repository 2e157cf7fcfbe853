// Box means of a luma plane and its details, which both ends of the watermark are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// A function that is compiled for wider vectors too, the widest that the processor has being taken.
// Not for fused multiplication, so that all give the same bytes.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define SORA_WIDE_VECTORS __attribute__((target_clones("avx2", "default")))
#else
#define SORA_WIDE_VECTORS
#endif

namespace sora {

// A plane of H x W values in rows.
struct Plane {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<float> values;

  Plane(int64_t height, int64_t width)
      : height(height), width(width), values(static_cast<size_t>(height * width)) {}
  float* row(int64_t y) { return values.data() + y * width; }
  const float* row(int64_t y) const { return values.data() + y * width; }
};

// BT.709 luma of uint8 R, G, B, 0 to 255, of the plane's size.
void luma_of(const uint8_t* rgb_HWC, Plane& luma);

// The mean over (2 radius + 1)^2 pixels, into a plane of the same size; at the border the outermost
// ones are repeated.
void box_mean(const Plane& plane, int64_t radius, Plane& mean);

// Pixels, of each of two box means, together about a Gaussian of 3.7.
inline constexpr int kDetailRadius = 4;

// What the watermark's detector correlates: the detail, which is luma less two box means over it,
// over the detail that is usual around a pixel, held within limits, so that neither edges nor busy
// places drown the pattern.
struct NormalisedDetails {
  Plane detail;
  Plane unit;     // what the detail was divided by, grey levels
  Plane scratch;  // to work in
};

// Into planes that are made anew only where their size is another.
void normalise_details(const Plane& luma, NormalisedDetails& result);

}  // namespace sora
