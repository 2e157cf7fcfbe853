#include "lib/text/damaged_utf8.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "lib/core/utf8.h"
#include "lib/text/unicode.h"

namespace sora {
namespace {

// Kinds of bytes in damaged UTF-8, and sequences of them.
using Byte = unsigned char;
using Kind = bool (*)(Byte);
using Sequence = std::vector<Kind>;

template <Byte first, Byte last = first>
bool in(Byte byte) {
  return byte >= first && byte <= last;
}
bool is_continuation(Byte byte) { return in<0x80, 0xBF>(byte); }
bool is_lost(Byte byte) { return byte == kLostByte; }
bool is_lost_or_mark(Byte byte) { return byte == kLostByte || byte == '?'; }
bool is_lost_or_continuation(Byte byte) { return byte == kLostByte || is_continuation(byte); }
bool is_any_of_these(Byte byte) { return is_lost_or_mark(byte) || is_continuation(byte); }
bool is_space(Byte byte) { return byte == ' '; }

size_t match_length(std::string_view bytes, size_t position,
                    const std::vector<Sequence>& sequences) {
  for (const Sequence& sequence : sequences) {
    if (sequence.size() > bytes.size() - position) continue;
    size_t matched = 0;
    while (matched < sequence.size() &&
           sequence[matched](static_cast<Byte>(bytes[position + matched])))
      ++matched;
    if (matched == sequence.size()) return matched;
  }
  return 0;
}

std::string replace_sequences(std::string_view bytes, const std::vector<Sequence>& sequences,
                              const std::function<std::string(std::string_view)>& change) {
  std::string result;
  for (size_t position = 0; position < bytes.size();) {
    const size_t length = match_length(bytes, position, sequences);
    if (length == 0) {
      result += bytes[position++];
    } else {
      result += change(bytes.substr(position, length));
      position += length;
    }
  }
  return result;
}

// UTF-8 whose byte A0, a no-break space to some program, has become a plain space. Bytes A0 and 85
// in another place, and the leads of seldom scripts, make it too unlikely.
bool is_lead_before_space(Byte byte) {
  return byte == 0xC2 || byte == 0xC3 || byte == 0xC5 || byte == 0xCE || byte == 0xD0 ||
         byte == 0xD9;
}
bool is_certain_continuation(Byte byte) {
  return is_continuation(byte) && byte != 0x85 && byte != 0xA0;
}

const std::vector<Sequence>& spaced_sequences() {
  static const std::vector<Sequence> sequences = {
      {is_lead_before_space, is_space},
      {in<0xE2, 0xE3>, is_space, is_certain_continuation},
      {in<0xE0, 0xE3>, is_certain_continuation, is_space},
      {in<0xF0>, is_space, is_continuation, is_continuation},
      {in<0xF0>, is_continuation, is_space, is_continuation},
      {in<0xF0>, is_continuation, is_continuation, is_space},
  };
  return sequences;
}

// "Ã " alone is the word "à", which keeps its space, except before the rest of "àquele" and the
// like.
std::string restore_a_grave(std::string_view bytes) {
  constexpr std::string_view kAGrave = "\xC3 ";
  constexpr std::string_view kNotAfter[] = {" ", "quele", "quela", "quilo", "s "};
  std::string result;
  for (size_t position = 0; position < bytes.size();) {
    const std::string_view rest = bytes.substr(position);
    const auto follows = [&](std::string_view text) {
      return rest.substr(kAGrave.size()).starts_with(text);
    };
    if (rest.starts_with(kAGrave) &&
        std::none_of(std::begin(kNotAfter), std::end(kNotAfter), follows)) {
      result += "\xC3\xA0 ";
      position += kAGrave.size();
    } else {
      result += bytes[position++];
    }
  }
  return result;
}

}  // namespace

std::string restore_byte_a0(std::string_view bytes) {
  return replace_sequences(restore_a_grave(bytes), spaced_sequences(), [](std::string_view match) {
    std::string restored(match);
    std::replace(restored.begin(), restored.end(), ' ', '\xA0');
    return restored;
  });
}

std::string replace_lossy_sequences(std::string_view bytes) {
  static const std::vector<Sequence> sequences = {
      {in<0xC2, 0xDF>, is_lost},
      {in<0xC2, 0xC3>, in<'?'>},
      {in<0xED>, in<0xA0, 0xAF>, is_lost_or_mark, in<0xED>, in<0xB0, 0xBF>, is_any_of_these},
      {in<0xED>, in<0xA0, 0xAF>, is_any_of_these, in<0xED>, in<0xB0, 0xBF>, is_lost_or_mark},
      {in<0xE0, 0xEF>, is_lost_or_mark, is_lost_or_continuation},
      {in<0xE0, 0xEF>, is_lost_or_continuation, is_lost_or_mark},
      {in<0xF0, 0xF4>, is_lost_or_mark, is_lost_or_continuation, is_lost_or_continuation},
      {in<0xF0, 0xF4>, is_lost_or_continuation, is_lost_or_mark, is_lost_or_continuation},
      {in<0xF0, 0xF4>, is_lost_or_continuation, is_lost_or_continuation, is_lost_or_mark},
      {is_lost},
  };
  return replace_sequences(bytes, sequences,
                           [](std::string_view) { return std::string("\uFFFD"); });
}

// character (CESU-8).
std::optional<std::string> decode_utf8_variants(std::string_view bytes) {
  static const std::vector<Sequence> kJavaNull = {{in<0xC0>, in<0x80>}};
  static const std::vector<Sequence> kCesu8 = {
      {in<0xED>, in<0xA0, 0xAF>, is_continuation, in<0xED>, in<0xB0, 0xBF>, is_continuation}};
  std::string result;
  for (size_t position = 0; position < bytes.size();) {
    if (match_length(bytes, position, kJavaNull) != 0) {
      result += '\0';
      position += 2;
    } else if (match_length(bytes, position, kCesu8) != 0) {
      const auto bits = [&](size_t i, Byte mask) {
        return char32_t{static_cast<Byte>(bytes[position + i])} & mask;
      };
      append_utf8((bits(1, 0x0F) << 16 | bits(2, 0x3F) << 10 | bits(4, 0x0F) << 6 | bits(5, 0x3F)) +
                      0x10000,
                  result);
      position += 6;
    } else {
      result += bytes[position++];
    }
  }
  if (!is_valid_utf8(result)) return std::nullopt;
  return result;
}

}  // namespace sora
