// Numbers of up to 8 bytes out of a file's bytes, which may be stored either way round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sora {

// The lowest byte first.
constexpr uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// The highest byte first.
constexpr uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

}  // namespace sora
