// The coefficients of the ring are computed straight at their frequencies in the scaled picture,
// which need be no whole numbers of cycles: two small matrix products, and no resampling.
#include "lib/provenance/watermark_search.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>
#include <utility>

namespace sora {
namespace {

using Complex = std::complex<float>;

constexpr int kOffsets = 2 * kWatermarkTile;  // tried a side: half a pixel apart
// Of a coefficient in units of its radius' mean; larger ones are the picture's.
constexpr float kGreatestMagnitude = 2;
// Pixels at the marked scale that the search over scales looks at.
constexpr int64_t kSearchSide = 512;
constexpr double kLeastScale = 0.4, kGreatestScale = 2.5, kScaleStep = 1.008;
constexpr int kWeightRadius = 3;  // over which chips' weights are made alike
constexpr double kLeastChipWeight = 0.1;
constexpr double kLeastFrameWeight = 0.7;  // beside the pilot's agreement in standard deviations

int radius_of(const WatermarkPattern::Bin& bin) {
  return static_cast<int>(std::lround(std::hypot(bin.x, bin.y)));
}

// exp(-2 pi i frequency position), [frequencies, positions].
at::Tensor waves(int first, int last, int64_t length, double scale) {
  const at::Tensor frequency =
      at::arange(first, last + 1, at::kDouble) * (-2 * std::numbers::pi * scale / kWatermarkTile);
  const at::Tensor phase = frequency.unsqueeze(1) * at::arange(length, at::kDouble).unsqueeze(0);
  return at::complex(at::cos(phase).to(at::kFloat), at::sin(phase).to(at::kFloat));
}

// The coefficient at a fit's offset, turned back to offset 0 and to the fit's sign.
Complex turned(Complex value, const WatermarkPattern::Bin& bin, const PilotFit& fit) {
  const double phase =
      2 * std::numbers::pi * (bin.x * fit.offset_x + bin.y * fit.offset_y) / kWatermarkTile;
  return fit.sign * value *
         Complex(static_cast<float>(std::cos(phase)), static_cast<float>(std::sin(phase)));
}

// Makes all radii alike in size, and holds back single large values: what the picture has at a
// frequency is nothing the pattern could have put there.
void whiten(const WatermarkPattern& pattern, std::vector<Complex>& values) {
  std::array<float, kWatermarkMaxFrequency + 2> power = {}, count = {};
  for (size_t i = 0; i < values.size(); ++i) {
    const int radius = radius_of(pattern.bins()[i]);
    power[radius] += std::norm(values[i]);
    count[radius] += 1;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const int radius = radius_of(pattern.bins()[i]);
    values[i] /= std::sqrt(power[radius] / count[radius]) + 1e-12f;
    const float magnitude = std::abs(values[i]);
    if (magnitude > kGreatestMagnitude) values[i] *= kGreatestMagnitude / magnitude;
  }
}

double root_mean_square(const std::vector<Complex>& values) {
  double power = 0;
  for (const Complex& value : values) power += std::norm(value);
  return std::sqrt(power / static_cast<double>(values.size())) + 1e-12;
}

// Holds all chips to the median of their sizes at `fit`. The embedder brings those that it can just
// to the right side of zero, while what lies far out is the picture's and says as much about its
// own contrast as about the code.
void limit_chips(const WatermarkPattern& pattern, const PilotFit& fit,
                 std::vector<Complex>& values) {
  std::vector<float> sizes;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = turned(values[i], pattern.bins()[i], fit);
    sizes.push_back(std::abs(values[i].real()));
    sizes.push_back(std::abs(values[i].imag()));
  }
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  const float limit = *middle;
  for (Complex& value : values)
    value = {std::clamp(value.real(), -limit, limit), std::clamp(value.imag(), -limit, limit)};
}

}  // namespace

WatermarkSearch::WatermarkSearch(const WatermarkPattern& pattern,
                                 const std::vector<at::Tensor>& details_HW,
                                 std::vector<float> weights)
    : pattern_(pattern),
      details_HW_(details_HW),
      weights_(std::move(weights)),
      sum_HW_(at::zeros(details_HW.front().sizes(), at::kFloat)) {
  for (size_t t = 0; t < details_HW.size(); ++t) sum_HW_.add_(details_HW[t], weights_[t]);
}

WatermarkSearch::Coefficients WatermarkSearch::coefficients(const at::Tensor& details_HW,
                                                            const WatermarkScale& scale) const {
  const int64_t height = details_HW.size(0), width = details_HW.size(1);
  const at::Tensor along_x = waves(0, kWatermarkMaxFrequency, width, scale.x).t();  // [W, X]
  const at::Tensor rows =
      at::complex(at::matmul(details_HW, at::real(along_x).contiguous()),
                  at::matmul(details_HW, at::imag(along_x).contiguous()));  // [H, X]
  const at::Tensor all =
      at::matmul(waves(-kWatermarkMaxFrequency, kWatermarkMaxFrequency, height, scale.y),
                 rows)
          .contiguous();  // [Y, X]
  const auto* value = reinterpret_cast<const Complex*>(all.const_data_ptr<c10::complex<float>>());
  Coefficients values;
  for (const WatermarkPattern::Bin& bin : pattern_.bins())
    values.push_back(
        value[(bin.y + kWatermarkMaxFrequency) * (kWatermarkMaxFrequency + 1) + bin.x]);
  return values;
}

PilotFit WatermarkSearch::fit(const at::Tensor& details_HW, const WatermarkScale& scale) const {
  Coefficients values = coefficients(details_HW, scale);
  whiten(pattern_, values);
  return fit(values, scale);
}

PilotFit WatermarkSearch::fit(const Coefficients& whitened, const WatermarkScale& scale) const {
  at::Tensor spectrum = at::zeros({kOffsets, kOffsets}, at::kComplexFloat);
  auto* at_frequency = reinterpret_cast<Complex*>(spectrum.mutable_data_ptr<c10::complex<float>>());
  double power = 0;
  for (size_t i = 0; i < whitened.size(); ++i) {
    const WatermarkPattern::Bin& bin = pattern_.bins()[i];
    if (!bin.is_pilot()) continue;
    at_frequency[(bin.y + kOffsets) % kOffsets * kOffsets + bin.x] =
        whitened[i] * Complex(bin.real, static_cast<float>(-bin.imaginary));
    power += std::norm(whitened[i]);
  }
  // The sum over bins, without a divisor; terms of random phase have half of their power in the
  // real part, and the pilot's signs a norm of 2.
  const at::Tensor correlation = at::real(at::_fft_c2c(spectrum, {0, 1}, 0, false));
  const at::Tensor signless = weighs_alike() ? correlation : correlation.abs();
  const auto best = signless.reshape(-1).argmax().item<int64_t>();
  const auto value = correlation.reshape(-1)[best].item<double>();
  return {scale, static_cast<double>(best % kOffsets) / 2, static_cast<double>(best / kOffsets) / 2,
          value < 0 ? -1.0f : 1.0f, power > 0 ? std::abs(value) / std::sqrt(power) : 0};
}

at::Tensor WatermarkSearch::middle(int64_t side) const {
  const int64_t height = std::min(side, sum_HW_.size(0)), width = std::min(side, sum_HW_.size(1));
  return sum_HW_.narrow(0, (sum_HW_.size(0) - height) / 2, height)
      .narrow(1, (sum_HW_.size(1) - width) / 2, width)
      .contiguous();
}

// Steps of a quarter of what puts the outermost pixels half a cycle off, in each direction by
// itself.
PilotFit WatermarkSearch::refine(const at::Tensor& details_HW, PilotFit best) const {
  const double length =
      static_cast<double>(std::max(details_HW.size(0), details_HW.size(1))) * best.scale.x;
  const double least_step = 0.4 / length;
  for (double step = 4 / length; step > least_step;) {
    const PilotFit before = best;
    for (const auto& [x, y] : {std::pair{1.0, 1.0}, {1.0, 0.0}, {0.0, 1.0}}) {
      for (const double sign : {-1.0, 1.0}) {
        const PilotFit other = fit(details_HW, {before.scale.x * (1 + sign * step * x),
                                                before.scale.y * (1 + sign * step * y)});
        if (other.peak > best.peak) best = other;
      }
    }
    if (best.peak == before.peak) step /= 2;
  }
  return best;
}

std::vector<PilotFit> WatermarkSearch::search() const {
  std::vector<PilotFit> fits;
  for (double scale = kLeastScale; scale < kGreatestScale; scale *= kScaleStep)
    fits.push_back(fit(middle(static_cast<int64_t>(kSearchSide / scale)), {scale, scale}));
  const auto better = [](const PilotFit& a, const PilotFit& b) { return a.peak > b.peak; };
  std::sort(fits.begin(), fits.end(), better);
  fits.resize(std::min(fits.size(), kFits));
  const int64_t whole = std::max(sum_HW_.size(0), sum_HW_.size(1));
  for (PilotFit& candidate : fits) {
    for (auto side = static_cast<int64_t>(kSearchSide / candidate.scale.x);; side *= 2) {
      const at::Tensor part = middle(side);
      candidate = refine(part, fit(part, candidate.scale));
      if (side >= whole) break;
    }
    candidate = fit(sum_HW_, candidate.scale);  // the offset of a part is not that of the whole
  }
  std::sort(fits.begin(), fits.end(), better);
  return fits;
}

// In standard deviations of what a picture without a mark shows.
double WatermarkSearch::agreement(const Coefficients& whitened, const PilotFit& fit) const {
  double sum = 0, power = 0;
  for (size_t i = 0; i < whitened.size(); ++i) {
    const WatermarkPattern::Bin& bin = pattern_.bins()[i];
    if (!bin.is_pilot()) continue;
    const Complex value = turned(whitened[i], bin, fit);
    sum += static_cast<double>(value.real()) * bin.real +
           static_cast<double>(value.imag()) * bin.imaginary;
    power += std::norm(value);
  }
  return power > 0 ? sum / std::sqrt(power) : 0;
}

WatermarkSearch::Coefficients WatermarkSearch::weighted_by_pilot(const PilotFit& fit) const {
  Coefficients total(pattern_.bins().size());
  for (const at::Tensor& frame : details_HW_) {
    const Coefficients values = coefficients(frame.to(at::kFloat), fit.scale);
    Coefficients whitened = values;
    whiten(pattern_, whitened);
    const double weight = kLeastFrameWeight + std::max(agreement(whitened, fit), 0.0);
    const auto scale = static_cast<float>(weight / root_mean_square(values));
    for (size_t i = 0; i < values.size(); ++i) total[i] += scale * values[i];
  }
  whiten(pattern_, total);
  return total;
}

bool WatermarkSearch::weighs_alike() const {
  return std::all_of(weights_.begin(), weights_.end(), [](float weight) { return weight == 1; });
}

std::vector<float> WatermarkSearch::values(const PilotFit& first_fit) const {
  Coefficients whitened =
      weighs_alike() ? weighted_by_pilot(first_fit) : coefficients(sum_HW_, first_fit.scale);
  if (!weighs_alike()) whiten(pattern_, whitened);
  const PilotFit fit = this->fit(whitened, first_fit.scale);
  limit_chips(pattern_, fit, whitened);
  std::array<double, kWatermarkMaxFrequency + 2> agreement = {}, count = {};
  for (size_t i = 0; i < whitened.size(); ++i) {
    const WatermarkPattern::Bin& bin = pattern_.bins()[i];
    if (!bin.is_pilot()) continue;
    const Complex value = whitened[i];
    agreement[radius_of(bin)] += static_cast<double>(value.real()) * bin.real +
                                 static_cast<double>(value.imag()) * bin.imaginary;
    count[radius_of(bin)] += 2;
  }
  std::vector<float> values(kWatermarkCodeBits, 0.0f);
  for (size_t i = 0; i < whitened.size(); ++i) {
    const WatermarkPattern::Bin& bin = pattern_.bins()[i];
    if (bin.is_pilot()) continue;
    double sum = 0, chips = 0;
    const int radius = radius_of(bin);
    for (int near = std::max(radius - kWeightRadius, 0);
         near <= std::min(radius + kWeightRadius, kWatermarkMaxFrequency); ++near) {
      sum += agreement[near];
      chips += count[near];
    }
    const auto weight = static_cast<float>(std::max(sum / std::max(chips, 1.0), kLeastChipWeight));
    const Complex value = weight * whitened[i];
    values[bin.real_bit] += value.real() * bin.real;
    values[bin.imaginary_bit] += value.imag() * bin.imaginary;
  }
  return values;
}

}  // namespace sora
