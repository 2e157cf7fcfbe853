// The error-correcting code of the invisible watermark: 64 bits of payload and a CRC-16 as a polar
// code of 256 bits, read by successive-cancellation list decoding (Tal and Vardy, "List Decoding of
// Polar Codes", 2015).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace sora {

inline constexpr int kWatermarkCodeBits = 256;

using WatermarkCodeword =
    std::array<int8_t, kWatermarkCodeBits>;  // +1 for a bit of 0, -1 for a bit of 1

WatermarkCodeword encode_watermark(uint64_t payload);

struct DecodedWatermark {
  uint64_t payload = 0;
  // Base-2 logarithm of a bound on the chance that values of random sign and these magnitudes lie
  // as near to any of the 2^64 codewords: 2^64 times Chernoff's bound on the sum of the values,
  // each with the codeword's sign.
  double log2_chance = 0;
};

// `values` are kWatermarkCodeBits soft values, the sign of each being the codeword's, however
// scaled. Empty where no codeword of the list has the right CRC.
std::optional<DecodedWatermark> decode_watermark(const std::vector<float>& values);

}  // namespace sora
