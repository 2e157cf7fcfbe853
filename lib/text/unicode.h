// Characters in UTF-8 that is known to be valid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sora {

// The bytes of the character that `lead` begins.
constexpr size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// The character at `position`, which moves behind it.
char32_t next_character(std::string_view text, size_t& position);

void append_utf8(char32_t character, std::string& text);

// The White_Space property of Unicode: what separates words for Rust and for the regular
// expressions of Python.
bool is_white_space(char32_t character);

}  // namespace sora
