// What the invisible watermark adds to a picture: a tile that repeats over the whole frame, whose
// Fourier coefficients in a ring of low frequencies have signs drawn from a key. How large they
// are, and whether all of them change their sign with time, follows the picture (watermark_plan.h).
//
// The ring is where codecs keep most, where halving the size loses nothing and where it is seen
// least. A quarter of the coefficients are a pilot: their signs are fixed, and finding them tells
// how a picture was scaled and cut. The others each carry one bit of the code, two real ones to a
// complex one.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/provenance/watermark_code.h"

namespace sora {

inline constexpr int kWatermarkTile = 128;         // pixels, a power of two
inline constexpr int kWatermarkMaxFrequency = 11;  // cycles a tile; the ring's outermost

// Cosines and sines of 0 to kWatermarkMaxFrequency cycles a tile, at each of its places; a table
// for either order of loops, since the inner one is made vectors of.
struct WatermarkWaves {
  static constexpr int kSines = kWatermarkMaxFrequency + 1;  // the first of them
  static constexpr int kCount = 2 * kSines;

  float at_place[kWatermarkTile][kCount];
  float of_wave[kCount][kWatermarkTile];

  static const WatermarkWaves& get();
};

class WatermarkPattern {
 public:
  // One complex coefficient: two real chips.
  struct Bin {
    int x = 0;                              // cycles a tile, 0 to kWatermarkMaxFrequency
    int y = 0;                              // to either side
    int8_t real = 1, imaginary = 1;         // the key's signs
    int real_bit = -1, imaginary_bit = -1;  // of the codeword; -1 of a pilot's
    bool is_pilot() const { return real_bit < 0; }
  };

  // exp(2 pi i n / kWatermarkTile) at n.
  static const std::array<std::complex<float>, kWatermarkTile>& circle();

  explicit WatermarkPattern(const std::string& key);

  const std::vector<Bin>& bins() const { return bins_; }

  // Of each bin, +-1 +-i: the key's signs times the codeword's.
  std::vector<std::complex<float>> signs(const WatermarkCodeword& codeword) const;
  // [kWatermarkTile * kWatermarkTile] in rows, mean 0; the sum of the bins' waves, each the real
  // part of amplitude exp(i phase). Its mean square is half the sum of the squared magnitudes.
  std::vector<float> tile(const std::vector<std::complex<float>>& amplitudes) const;

 private:
  std::vector<Bin> bins_;
};

// $SORA_WATERMARK_KEY, or the key that every copy of this program knows.
std::string watermark_key();

}  // namespace sora
