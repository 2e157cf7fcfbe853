#include "lib/provenance/watermark_plan.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace sora {
namespace {

using Complex = std::complex<float>;

constexpr float kMemory = 0.9f;           // of the frames looked at before
constexpr double kGreatestGivenUp = 0.3;  // of the chips
constexpr int kBisections = 24;

std::vector<float> folded(const Plane& plane) {
  std::vector<float> tile(kWatermarkTile * kWatermarkTile, 0.0f);
  for (int64_t y = 0; y < plane.height; ++y) {
    const float* __restrict row = plane.row(y);
    float* __restrict sum = tile.data() + y % kWatermarkTile * kWatermarkTile;
    for (int64_t start = 0; start < plane.width; start += kWatermarkTile) {
      const int64_t length = std::min<int64_t>(kWatermarkTile, plane.width - start);
      for (int64_t x = 0; x < length; ++x) sum[x] += row[start + x];
    }
  }
  return tile;
}

// The Fourier coefficients at the pattern's bins.
std::vector<Complex> coefficients(const WatermarkPattern& pattern, const std::vector<float>& tile) {
  const auto& circle = WatermarkPattern::circle();
  std::vector<Complex> rows(kWatermarkTile * (kWatermarkMaxFrequency + 1));  // [Y, X frequency]
  for (int y = 0; y < kWatermarkTile; ++y) {
    for (int fx = 0; fx <= kWatermarkMaxFrequency; ++fx) {
      float real = 0, imaginary = 0;
      for (int x = 0; x < kWatermarkTile; ++x) {
        const Complex wave = circle[(fx * x) & (kWatermarkTile - 1)];
        real += tile[y * kWatermarkTile + x] * wave.real();
        imaginary -= tile[y * kWatermarkTile + x] * wave.imag();
      }
      rows[y * (kWatermarkMaxFrequency + 1) + fx] = {real, imaginary};
    }
  }
  std::vector<Complex> values;
  for (const WatermarkPattern::Bin& bin : pattern.bins()) {
    Complex& value = values.emplace_back();
    for (int y = 0; y < kWatermarkTile; ++y)
      value += rows[y * (kWatermarkMaxFrequency + 1) + bin.x] *
               std::conj(circle[(bin.y * y) & (kWatermarkTile - 1)]);
  }
  return values;
}

double box_response(int frequency) {
  const double half_turn = std::numbers::pi * frequency / kWatermarkTile;
  const int span = 2 * kDetailRadius + 1;
  return frequency == 0 ? 1 : std::sin(span * half_turn) / (span * std::sin(half_turn));
}

// The power that chips from `given_up` on need to reach `margin`. `host` is how far each lies in
// the direction of its sign, ascending.
double cost(const std::vector<double>& host, size_t given_up, double margin) {
  double sum = 0;
  for (size_t i = given_up; i < host.size() && host[i] < margin; ++i)
    sum += (margin - host[i]) * (margin - host[i]);
  return sum;
}

struct Margin {
  double wanted;
  double worst_taken;  // chips below it are given up
};

// The margin and the chips given up that leave the most chips right, expected after Gaussian noise
// as strong as the mark is on average. `host` in amplitudes of chips, whose squares may sum to
// `power`.
Margin best_margin(std::vector<double> host, double power) {
  std::sort(host.begin(), host.end());
  const double noise = std::sqrt(power / static_cast<double>(host.size()));
  const auto most = static_cast<size_t>(kGreatestGivenUp * static_cast<double>(host.size()));
  Margin best = {0, 0};
  double most_right = -1;
  for (size_t given_up = 0; given_up <= most; given_up += 4) {
    double low = host[given_up], high = host.back() + std::sqrt(power);
    for (int i = 0; i < kBisections; ++i) {
      const double middle = (low + high) / 2;
      (cost(host, given_up, middle) < power ? low : high) = middle;
    }
    double right = 0;
    for (size_t i = 0; i < host.size(); ++i)
      right += std::erf((i < given_up ? host[i] : std::max(host[i], low)) /
                        (noise * std::numbers::sqrt2));
    if (right > most_right) {
      most_right = right;
      best = {low, host[given_up]};
    }
  }
  return best;
}

// 1 where all coefficients have the same phases, about 0 where the pictures have nothing in common.
double phase_correlation(const std::vector<Complex>& a, const std::vector<Complex>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += static_cast<double>((a[i] * std::conj(b[i])).real() / (std::abs(a[i] * b[i]) + 1e-12f));
  return std::max(sum / static_cast<double>(a.size()), 0.0);
}

}  // namespace

WatermarkPlan::WatermarkPlan(WatermarkPattern pattern, const WatermarkCodeword& codeword)
    : pattern_(std::move(pattern)),
      signs_(pattern_.signs(codeword)),
      host_(pattern_.bins().size()) {
  for (const WatermarkPattern::Bin& bin : pattern_.bins()) {
    const double kept = box_response(bin.x) * box_response(bin.y);
    passed_.push_back(static_cast<float>(1 - kept * kept));
  }
}

// The detector looks for the pattern at every offset, so it is put where the first picture agrees
// with it most.
void WatermarkPlan::place(const Coefficients& host) {
  at::Tensor spectrum = at::zeros({kWatermarkTile, kWatermarkTile}, at::kComplexFloat);
  auto* at_frequency = reinterpret_cast<Complex*>(spectrum.mutable_data_ptr<c10::complex<float>>());
  for (size_t i = 0; i < host.size(); ++i) {
    const WatermarkPattern::Bin& bin = pattern_.bins()[i];
    at_frequency[(bin.y + kWatermarkTile) % kWatermarkTile * kWatermarkTile + bin.x] =
        host[i] * std::conj(signs_[i]) / passed_[i];
  }
  const auto best = static_cast<int>(
      at::real(at::_fft_c2c(spectrum, {0, 1}, 0, false)).reshape(-1).argmax().item<int64_t>());
  const auto& circle = WatermarkPattern::circle();
  for (const WatermarkPattern::Bin& bin : pattern_.bins())
    turns_.push_back(circle[(bin.x * (best % kWatermarkTile) + bin.y * (best / kWatermarkTile)) &
                            (kWatermarkTile - 1)]);
}

// `response` is by what the detector's coefficient grows for an amplitude of 1, where its means
// take nothing away.
WatermarkPlan::Coefficients WatermarkPlan::amplitudes(double response) const {
  constexpr double kPower = 2;  // of all amplitudes, for a tile with a mean square of 1
  std::vector<double> host;
  for (size_t i = 0; i < host_.size(); ++i) {
    const Complex value =
        host_[i] * turns_[i] * (static_cast<float>(stillness_ / response) / (weight_ * passed_[i]));
    host.push_back(static_cast<double>(value.real()) * signs_[i].real());
    host.push_back(static_cast<double>(value.imag()) * signs_[i].imag());
  }
  const Margin margin = best_margin(host, kPower);
  const auto added = [&](double chip) {
    return static_cast<float>(chip < margin.worst_taken ? 0 : std::max(margin.wanted - chip, 0.0));
  };
  Coefficients amplitudes;
  for (size_t i = 0; i < host_.size(); ++i) {
    const Complex amplitude(added(host[2 * i]) * signs_[i].real(),
                            added(host[2 * i + 1]) * signs_[i].imag());
    amplitudes.push_back(amplitude * std::conj(turns_[i]));
  }
  return amplitudes;
}

void WatermarkPlan::look_at(const Plane& luma, const Plane& strength, double power) {
  NormalisedDetails details = normalised_details(luma);
  const Coefficients now = coefficients(pattern_, folded(details.detail));
  if (turns_.empty()) {
    place(now);
  } else {
    const double alike = phase_correlation(host_, now);
    stillness_ = alike * alike;
  }
  for (size_t i = 0; i < now.size(); ++i) host_[i] = kMemory * host_[i] + now[i];
  weight_ = kMemory * weight_ + 1;
  double seen = 0, square = 0;
  for (size_t i = 0; i < strength.values.size(); ++i) {
    seen += static_cast<double>(strength.values[i] / details.unit.values[i]);
    square += static_cast<double>(strength.values[i] * strength.values[i]);
  }
  const double gain = std::sqrt(power * static_cast<double>(strength.values.size()) / square);
  // A wave of amplitude 1 has half of it at its own frequency, the other half at its opposite.
  tile_ = pattern_.tile(amplitudes(gain * seen / 2));
}

}  // namespace sora
