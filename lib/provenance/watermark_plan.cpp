#include "lib/provenance/watermark_plan.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace sora {
namespace {

using Complex = std::complex<float>;

constexpr float kMemory = 0.9f;           // of the frames looked at before
constexpr double kGreatestGivenUp = 0.3;  // of the chips
// Of a picture under which the pattern changes its sign: one that moves by up to some three pixels
// from plan to plan. The mosaic of one that moves slowly holds a pattern of one sign too.
constexpr double kLeastStillness = 0.25;

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
  const WatermarkWaves& waves = WatermarkWaves::get();
  const auto& circle = WatermarkPattern::circle();
  std::vector<std::array<float, WatermarkWaves::kCount>> rows(kWatermarkTile);
  for (int y = 0; y < kWatermarkTile; ++y) {
    std::array<float, WatermarkWaves::kCount> sum = {};
    for (int x = 0; x < kWatermarkTile; ++x) {
      const float value = tile[y * kWatermarkTile + x];
      for (int k = 0; k < WatermarkWaves::kCount; ++k) sum[k] += value * waves.at_place[x][k];
    }
    rows[y] = sum;
  }
  std::vector<Complex> values;
  for (const WatermarkPattern::Bin& bin : pattern.bins()) {
    float real = 0, imaginary = 0;
    for (int y = 0; y < kWatermarkTile; ++y) {
      const Complex wave = circle[(bin.y * y) & (kWatermarkTile - 1)];
      const float cosine = rows[y][bin.x], sine = rows[y][WatermarkWaves::kSines + bin.x];
      real += cosine * wave.real() - sine * wave.imag();
      imaginary -= sine * wave.real() + cosine * wave.imag();
    }
    values.emplace_back(real, imaginary);
  }
  return values;
}

double box_response(int frequency) {
  const double half_turn = std::numbers::pi * frequency / kWatermarkTile;
  const int span = 2 * kDetailRadius + 1;
  return frequency == 0 ? 1 : std::sin(span * half_turn) / (span * std::sin(half_turn));
}

struct Margin {
  double wanted;
  double worst_taken;  // chips below it are given up
};

// Sums over a prefix of the chips.
struct Sums {
  double value = 0, square = 0, right = 0;
};

// The margin and the chips given up that leave the most chips right, expected after Gaussian noise
// as strong as the mark is on average. `host` is how far each chip lies in the direction of its
// sign, in amplitudes, whose squares may sum to `power`.
Margin best_margin(std::vector<double> host, double power) {
  std::sort(host.begin(), host.end());
  const size_t count = host.size();
  const double noise = std::sqrt(power / static_cast<double>(count));
  const auto right = [&](double chip) { return std::erf(chip / (noise * std::numbers::sqrt2)); };
  std::vector<Sums> until(count + 1);
  for (size_t i = 0; i < count; ++i)
    until[i + 1] = {until[i].value + host[i], until[i].square + host[i] * host[i],
                    until[i].right + right(host[i])};
  const auto most = static_cast<size_t>(kGreatestGivenUp * static_cast<double>(count));
  Margin best = {0, 0};
  double most_right = -1;
  for (size_t given_up = 0; given_up <= most; given_up += 4) {
    // Raised to one margin are those from given_up to `end`; what that takes grows with `end`.
    double margin = 0;
    size_t end = given_up;
    do {
      ++end;
      const auto raised = static_cast<double>(end - given_up);
      const double sum = until[end].value - until[given_up].value;
      const double square = until[end].square - until[given_up].square;
      margin = (sum + std::sqrt(std::max(sum * sum - raised * (square - power), 0.0))) / raised;
    } while (end < count && host[end] < margin);
    const double are_right = until[given_up].right +
                             static_cast<double>(end - given_up) * right(margin) +
                             until[count].right - until[end].right;
    if (are_right > most_right) {
      most_right = are_right;
      best = {margin, host[given_up]};
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

// Of the strength in the detector's units, and of its square.
std::pair<double, double> strength_sums(const Plane& strength, const Plane& unit) {
  double seen = 0, square = 0;
  for (int64_t y = 0; y < strength.height; ++y) {
    const float* strong = strength.row(y);
    const float* usual = unit.row(y);
    std::array<float, 8> seen_by_column = {}, square_by_column = {};
    int64_t x = 0;
    for (; x + 8 <= strength.width; x += 8) {
      for (int64_t k = 0; k < 8; ++k) {
        seen_by_column[k] += strong[x + k] / usual[x + k];
        square_by_column[k] += strong[x + k] * strong[x + k];
      }
    }
    for (; x < strength.width; ++x) {
      seen_by_column[0] += strong[x] / usual[x];
      square_by_column[0] += strong[x] * strong[x];
    }
    seen += std::accumulate(seen_by_column.begin(), seen_by_column.end(), 0.0);
    square += std::accumulate(square_by_column.begin(), square_by_column.end(), 0.0);
  }
  return {seen, square};
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

WatermarkPlan::Coefficients WatermarkPlan::even_amplitudes() const {
  const float size = sign_ / std::sqrt(static_cast<float>(host_.size()));
  Coefficients amplitudes;
  for (size_t i = 0; i < host_.size(); ++i)
    amplitudes.push_back(size * signs_[i] * std::conj(turns_[i]));
  return amplitudes;
}

void WatermarkPlan::look_at(const Plane& luma, const Plane& strength, double power) {
  normalise_details(luma, details_);
  const Coefficients now = coefficients(pattern_, folded(details_.detail));
  const bool is_first = turns_.empty();
  if (is_first) {
    place(now);
  } else {
    const double alike = phase_correlation(host_, now);
    stillness_ = alike * alike;
  }
  for (size_t i = 0; i < now.size(); ++i) host_[i] = kMemory * host_[i] + now[i];
  weight_ = kMemory * weight_ + 1;
  const auto [seen, square] = strength_sums(strength, details_.unit);
  const double gain = std::sqrt(power * static_cast<double>(strength.values.size()) / square);
  turns_sign_ = !is_first && stillness_ > kLeastStillness;
  sign_ = turns_sign_ ? -sign_ : 1.0f;
  // A wave of amplitude 1 has half of it at its own frequency, the other half at its opposite.
  tile_ = pattern_.tile(turns_sign_ ? even_amplitudes() : amplitudes(gain * seen / 2));
}

}  // namespace sora
