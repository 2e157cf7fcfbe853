// PDQ, a hash of what a picture looks like: near copies have hashes that differ in few of 256 bits.
// After Meta's "PDQ and TMK+PDQF" (2019); agrees with the pdqhash package on PyPI.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sora {

struct PdqHash {
  std::array<uint16_t, 16> words =
      {};  // bit 16*i+j is coefficient (i+1, j+1), the lowest bit first

  // Bits that differ, 0 to 256.
  int distance(const PdqHash& other) const;
  std::string hex() const;  // 64 digits, the last word first, as hash lists have them
  // Throws Error(Input) for what is not 64 hexadecimal digits.
  static PdqHash from_hex(std::string_view hex);
  bool operator==(const PdqHash&) const = default;
};

struct PdqResult {
  PdqHash hash;
  int quality = 0;  // 0 to 100; below 50 the picture is too flat for its hash to mean much
};

// `frame_HWC` uint8 RGB on the CPU. Of a side below 5 pixels the hash is zero and so is the
// quality.
PdqResult pdq_hash(const at::Tensor& frame_HWC);

}  // namespace sora
