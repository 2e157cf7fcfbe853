#include "lib/provenance/watermark_pattern.h"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <numeric>
#include <utility>

#include "lib/provenance/digest.h"

namespace sora {
namespace {

constexpr int kMinFrequency = 3;
constexpr double kPilotShare = 0.25;

// xoshiro256** (Blackman and Vigna, 2018), seeded with the digest of the key.
class KeyStream {
 public:
  explicit KeyStream(const std::string& key) {
    const std::string digest = sha256_of_bytes(key);
    for (size_t i = 0; i < state_.size(); ++i)
      std::from_chars(&digest[16 * i], &digest[16 * i + 16], state_[i], 16);
  }

  uint64_t next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  int8_t sign() { return next() >> 63 ? 1 : -1; }

 private:
  std::array<uint64_t, 4> state_ = {};
};

}  // namespace

const std::array<std::complex<float>, kWatermarkTile>& WatermarkPattern::circle() {
  static const std::array<std::complex<float>, kWatermarkTile> points = [] {
    std::array<std::complex<float>, kWatermarkTile> made;
    for (int i = 0; i < kWatermarkTile; ++i)
      made[i] = std::polar(1.0f, static_cast<float>(2 * std::numbers::pi * i / kWatermarkTile));
    return made;
  }();
  return points;
}

const WatermarkWaves& WatermarkWaves::get() {
  static const WatermarkWaves waves = [] {
    WatermarkWaves made;
    const auto& circle = WatermarkPattern::circle();
    for (int frequency = 0; frequency < kSines; ++frequency) {
      for (int x = 0; x < kWatermarkTile; ++x) {
        const std::complex<float> wave = circle[(frequency * x) & (kWatermarkTile - 1)];
        made.at_place[x][frequency] = made.of_wave[frequency][x] = wave.real();
        made.at_place[x][kSines + frequency] = made.of_wave[kSines + frequency][x] = wave.imag();
      }
    }
    return made;
  }();
  return waves;
}

WatermarkPattern::WatermarkPattern(const std::string& key) {
  for (int y = -kWatermarkMaxFrequency; y <= kWatermarkMaxFrequency; ++y) {
    for (int x = 0; x <= kWatermarkMaxFrequency; ++x) {
      const int square = x * x + y * y;
      const bool in_half_plane = x > 0 || y > 0;
      if (in_half_plane && square >= kMinFrequency * kMinFrequency &&
          square <= kWatermarkMaxFrequency * kWatermarkMaxFrequency)
        bins_.push_back({x, y});
    }
  }
  KeyStream stream(key);
  std::vector<size_t> order(bins_.size());
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[stream.next() % (i + 1)]);
  const auto num_pilots = static_cast<size_t>(kPilotShare * static_cast<double>(bins_.size()));
  int chip = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    Bin& bin = bins_[order[i]];
    bin.real = stream.sign();
    bin.imaginary = stream.sign();
    if (i < num_pilots) continue;
    bin.real_bit = chip++ % kWatermarkCodeBits;
    bin.imaginary_bit = chip++ % kWatermarkCodeBits;
  }
}

std::vector<std::complex<float>> WatermarkPattern::signs(const WatermarkCodeword& codeword) const {
  std::vector<std::complex<float>> signs;
  for (const Bin& bin : bins_) {
    const int real = bin.is_pilot() ? bin.real : bin.real * codeword[bin.real_bit];
    const int imaginary =
        bin.is_pilot() ? bin.imaginary : bin.imaginary * codeword[bin.imaginary_bit];
    signs.emplace_back(static_cast<float>(real), static_cast<float>(imaginary));
  }
  return signs;
}

std::vector<float> WatermarkPattern::tile(
    const std::vector<std::complex<float>>& amplitudes) const {
  const WatermarkWaves& waves = WatermarkWaves::get();
  const auto& wave = circle();
  std::vector<float> tile(kWatermarkTile * kWatermarkTile, 0.0f);
  for (int y = 0; y < kWatermarkTile; ++y) {
    std::array<float, WatermarkWaves::kCount> of_row = {};  // of cosines and sines along x
    for (size_t i = 0; i < bins_.size(); ++i) {
      const std::complex<float> turn = wave[(bins_[i].y * y) & (kWatermarkTile - 1)];
      const float real = amplitudes[i].real(), imaginary = amplitudes[i].imag();
      of_row[bins_[i].x] += real * turn.real() - imaginary * turn.imag();
      of_row[WatermarkWaves::kSines + bins_[i].x] -= real * turn.imag() + imaginary * turn.real();
    }
    float* __restrict row = &tile[y * kWatermarkTile];
    for (int k = 0; k < WatermarkWaves::kCount; ++k) {
      const float* __restrict along = waves.of_wave[k];
      for (int x = 0; x < kWatermarkTile; ++x) row[x] += of_row[k] * along[x];
    }
  }
  return tile;
}

std::string watermark_key() {
  const char* key = std::getenv("SORA_WATERMARK_KEY");
  return key != nullptr && *key != '\0' ? key : "sora watermark 1";
}

}  // namespace sora
