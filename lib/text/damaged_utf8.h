// UTF-8 that went through the hands of programs which took its bytes for characters, mended where
// it is clear what was lost; the rules are ftfy's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sora {

// Stands for a byte of which nobody knows any more what it was.
inline constexpr unsigned char kLostByte = 0x1A;

// Plain spaces that must have been byte A0, a no-break space to some program, as A0 again.
std::string restore_byte_a0(std::string_view bytes);

// Sequences with lost bytes as U+FFFD.
std::string replace_lossy_sequences(std::string_view bytes);

// UTF-8, where C0 80 may stand for U+0000 (Java) and two surrogates of three bytes each for one
// character (CESU-8). Empty where the bytes are not that.
std::optional<std::string> decode_utf8_variants(std::string_view bytes);

}  // namespace sora
