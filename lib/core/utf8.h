// UTF-8 text that comes from outside: its validity, and where it may be cut.
#pragma once

#include <cstddef>
#include <string_view>

namespace sora {

// True when `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF
// (RFC 3629).
bool is_valid_utf8(std::string_view text);

// Whether a byte of well-formed text is inside a character, not the first one of it.
constexpr bool is_utf8_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// The longest beginning of well-formed `text` that has at most `max_bytes` and cuts no character in
// two.
std::string_view utf8_prefix(std::string_view text, size_t max_bytes);

}  // namespace sora
