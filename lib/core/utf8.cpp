// RFC 3629, section 4: the ranges of the second byte tell overlong forms and surrogates apart.
#include "lib/core/utf8.h"

#include <cstdint>

namespace sora {
namespace {

// The length of the sequence that `lead` begins and the bounds of its second byte; length 0 where
// it begins none.
struct Sequence {
  int length;
  uint8_t second_min;
  uint8_t second_max;
};

Sequence sequence_of(uint8_t lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead >= 0xC2 && lead <= 0xDF) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto byte_at = [&](size_t k) { return static_cast<uint8_t>(text[k]); };
    const Sequence sequence = sequence_of(byte_at(i));
    if (sequence.length == 0 || i + sequence.length > text.size()) return false;
    if (sequence.length > 1) {
      if (byte_at(i + 1) < sequence.second_min || byte_at(i + 1) > sequence.second_max)
        return false;
      for (int k = 2; k < sequence.length; ++k) {
        if (!is_utf8_continuation(text[i + k])) return false;
      }
    }
    i += sequence.length;
  }
  return true;
}

std::string_view utf8_prefix(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && is_utf8_continuation(text[end])) --end;
  return text.substr(0, end);
}

}  // namespace sora
