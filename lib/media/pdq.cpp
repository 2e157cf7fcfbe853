// Luma, two passes of a box filter in each direction (a tent), 64x64 samples, the 16x16 lowest
// cosine coefficients without the constant ones, and a bit for each that is above their median.
// Sums run in the order of the reference, in f32, so that bits agree.
#include "lib/media/pdq.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <vector>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr int64_t kSmallestSide = 5;
constexpr int kSamples = 64;
constexpr int kCoefficients = 16;
constexpr int kTentPasses = 2;
constexpr int kGradientScale = 90;  // of the reference's quality measure

using Samples = std::array<std::array<float, kSamples>, kSamples>;
using Coefficients = std::array<std::array<float, kCoefficients>, kCoefficients>;

// A running mean of `window` values along one row or column; at the ends of those that there are.
void box_filter(const float* in, float* out, int64_t length, int64_t stride, int64_t window) {
  const int64_t ahead = (window + 2) / 2 - 1;  // values after the one written
  const int64_t behind = window - ahead - 1;
  float sum = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < ahead; ++i, ++count) sum += in[i * stride];
  for (int64_t i = 0; i < length; ++i) {
    if (i + ahead < length) {
      sum += in[(i + ahead) * stride];
      ++count;
    }
    if (i > behind) {
      sum -= in[(i - behind - 1) * stride];
      --count;
    }
    out[i * stride] = sum / static_cast<float>(count);
  }
}

// Half of the samples' distance, rounded up.
int64_t window_for(int64_t side) { return (side + 2 * kSamples - 1) / (2 * kSamples); }

void tent_filter(std::vector<float>& luma, int64_t height, int64_t width) {
  std::vector<float> other(luma.size());
  for (int pass = 0; pass < kTentPasses; ++pass) {
    for (int64_t y = 0; y < height; ++y)
      box_filter(&luma[y * width], &other[y * width], width, 1, window_for(width));
    for (int64_t x = 0; x < width; ++x)
      box_filter(&other[x], &luma[x], height, width, window_for(height));
  }
}

Samples sample(std::vector<float>& luma, int64_t height, int64_t width) {
  if (height != kSamples || width != kSamples) tent_filter(luma, height, width);
  Samples samples;
  for (int i = 0; i < kSamples; ++i) {
    const auto y = static_cast<int64_t>((i + 0.5) * static_cast<double>(height) / kSamples);
    for (int j = 0; j < kSamples; ++j) {
      const auto x = static_cast<int64_t>((j + 0.5) * static_cast<double>(width) / kSamples);
      samples[i][j] = luma[y * width + x];
    }
  }
  return samples;
}

int quality_of(const Samples& samples) {
  const auto gradient = [](float u, float v) {
    return std::abs(static_cast<int>((u - v) * 100 / 255));
  };
  int sum = 0;
  for (int i = 0; i < kSamples; ++i) {
    for (int j = 0; j < kSamples; ++j) {
      if (i + 1 < kSamples) sum += gradient(samples[i][j], samples[i + 1][j]);
      if (j + 1 < kSamples) sum += gradient(samples[i][j], samples[i][j + 1]);
    }
  }
  return std::min(sum / kGradientScale, 100);
}

Coefficients cosine_transform(const Samples& samples) {
  static const auto basis = [] {
    std::array<std::array<float, kSamples>, kCoefficients> rows;
    const auto scale = static_cast<float>(std::sqrt(2.0 / kSamples));
    for (int i = 0; i < kCoefficients; ++i) {
      for (int j = 0; j < kSamples; ++j) {
        rows[i][j] = static_cast<float>(
            scale * std::cos(std::numbers::pi / 2 / kSamples * (i + 1) * (2 * j + 1)));
      }
    }
    return rows;
  }();
  std::array<std::array<float, kSamples>, kCoefficients> half;
  for (int i = 0; i < kCoefficients; ++i) {
    for (int j = 0; j < kSamples; ++j) {
      float sum = 0;
      for (int k = 0; k < kSamples; ++k) sum += basis[i][k] * samples[k][j];
      half[i][j] = sum;
    }
  }
  Coefficients coefficients;
  for (int i = 0; i < kCoefficients; ++i) {
    for (int j = 0; j < kCoefficients; ++j) {
      float sum = 0;
      for (int k = 0; k < kSamples; ++k) sum += half[i][k] * basis[j][k];
      coefficients[i][j] = sum;
    }
  }
  return coefficients;
}

PdqHash bits_above_median(const Coefficients& coefficients) {
  std::vector<float> sorted;
  for (const auto& row : coefficients) sorted.insert(sorted.end(), row.begin(), row.end());
  const auto middle = sorted.begin() + static_cast<ptrdiff_t>((sorted.size() - 1) / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  PdqHash hash;
  for (int i = 0; i < kCoefficients; ++i) {
    for (int j = 0; j < kCoefficients; ++j) {
      if (coefficients[i][j] > *middle)
        hash.words[i] = static_cast<uint16_t>(hash.words[i] | 1u << j);
    }
  }
  return hash;
}

}  // namespace

int PdqHash::distance(const PdqHash& other) const {
  int bits = 0;
  for (size_t i = 0; i < words.size(); ++i)
    bits += std::popcount(static_cast<uint16_t>(words[i] ^ other.words[i]));
  return bits;
}

std::string PdqHash::hex() const {
  std::string text;
  for (auto word = words.rbegin(); word != words.rend(); ++word)
    text += fmt::format("{:04x}", *word);
  return text;
}

PdqHash PdqHash::from_hex(std::string_view hex) {
  PdqHash hash;
  constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
  if (hex.size() != 64 || hex.find_first_not_of(kDigits) != hex.npos) {
    fail(ErrorKind::Input, "'{}' is no PDQ hash; one is 64 hexadecimal digits", hex);
  }
  for (size_t i = 0; i < hash.words.size(); ++i) {
    hash.words[i] =
        static_cast<uint16_t>(std::stoul(std::string(hex.substr(60 - 4 * i, 4)), nullptr, 16));
  }
  return hash;
}

PdqResult pdq_hash(const at::Tensor& frame_HWC) {
  const int64_t height = frame_HWC.size(0);
  const int64_t width = frame_HWC.size(1);
  if (height < kSmallestSide || width < kSmallestSide) return {};
  const at::Tensor frame = frame_HWC.contiguous();
  const auto* rgb = frame.const_data_ptr<uint8_t>();
  std::vector<float> luma(static_cast<size_t>(height * width));
  for (size_t i = 0; i < luma.size(); ++i) {
    luma[i] =
        static_cast<float>(rgb[3 * i] * 0.299 + rgb[3 * i + 1] * 0.587 + rgb[3 * i + 2] * 0.114);
  }
  const Samples samples = sample(luma, height, width);
  return {bits_above_median(cosine_transform(samples)), quality_of(samples)};
}

}  // namespace sora
