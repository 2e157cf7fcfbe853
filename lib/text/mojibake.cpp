// Sequences of characters that hardly anyone writes ("Ã¶") tell that something is wrong. Then each
// single-byte encoding in turn is tried: if the text can be encoded in it and the bytes are UTF-8,
// that is the text.
#include "lib/text/mojibake.h"

#include <unicode/regex.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/text/unicode.h"

namespace sora {
namespace {

constexpr unsigned char kLost = 0x1A;  // the byte by which the lenient encodings write U+FFFD

struct Encoding {
  std::string_view name;
  char16_t characters[129];  // of the bytes 80 to FF, and of byte 1A

  bool is_lenient() const { return characters[128] == 0xFFFD; }
};

constexpr Encoding kEncodings[] = {
#include "lib/text/tables/encodings.inc"
};
constexpr const Encoding& kLatin1 = kEncodings[0];
constexpr const Encoding& kWindows1252 = kEncodings[1];

constexpr char kMojibakePattern[] =
#include "lib/text/tables/mojibake_pattern.inc"
    ;
constexpr char kUtf8Pattern[] =
#include "lib/text/tables/utf8_pattern.inc"
    ;

class Pattern {
 public:
  explicit Pattern(const char* pattern) {
    UErrorCode status = U_ZERO_ERROR;
    UParseError where;
    pattern_.reset(
        icu::RegexPattern::compile(icu::UnicodeString(pattern, -1, US_INV), where, status));
    check(status);
  }

  bool found_in(std::string_view text) const {
    const icu::UnicodeString source = icu::UnicodeString::fromUTF8(
        icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
    UErrorCode status = U_ZERO_ERROR;
    const std::unique_ptr<icu::RegexMatcher> matcher(pattern_->matcher(source, status));
    check(status);
    const bool found = matcher->find(status);
    check(status);
    return found;
  }

  // `text` with every match replaced by what `change` makes of it.
  std::string replace_in(std::string_view text,
                         const std::function<std::string(std::string_view)>& change) const {
    const icu::UnicodeString source = icu::UnicodeString::fromUTF8(
        icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
    UErrorCode status = U_ZERO_ERROR;
    const std::unique_ptr<icu::RegexMatcher> matcher(pattern_->matcher(source, status));
    check(status);
    std::string result;
    int32_t done = 0;
    while (matcher->find(status)) {
      const int32_t start = matcher->start(status);
      const int32_t end = matcher->end(status);
      source.tempSubStringBetween(done, start).toUTF8String(result);
      std::string match;
      source.tempSubStringBetween(start, end).toUTF8String(match);
      result += change(match);
      done = end;
    }
    check(status);
    source.tempSubString(done).toUTF8String(result);
    return result;
  }

 private:
  static void check(UErrorCode status) {
    if (U_FAILURE(status))
      fail(ErrorKind::Internal, "the text cannot be searched: {}", u_errorName(status));
  }

  std::unique_ptr<icu::RegexPattern> pattern_;
};

bool is_bad(std::string_view text) {
  static const Pattern pattern(kMojibakePattern);
  return pattern.found_in(text);
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Empty where the encoding lacks a character of the text.
std::optional<std::string> encode(std::string_view text, const Encoding& encoding) {
  std::map<char32_t, unsigned char> bytes;
  for (size_t i = 0; i < 128; ++i)
    bytes.emplace(encoding.characters[i], static_cast<unsigned char>(0x80 + i));
  bytes.emplace(encoding.characters[128], kLost);
  std::string result;
  for (size_t position = 0; position < text.size();) {
    const char32_t character = next_character(text, position);
    if (character < 0x80 && character != kLost) {
      result += static_cast<char>(character);
      continue;
    }
    const auto found = bytes.find(character);
    if (found == bytes.end()) return std::nullopt;
    result += static_cast<char>(found->second);
  }
  return result;
}

// Kinds of bytes in damaged UTF-8, and sequences of them.
using Byte = unsigned char;
using Kind = bool (*)(Byte);
using Sequence = std::vector<Kind>;

template <Byte first, Byte last = first>
bool in(Byte byte) {
  return byte >= first && byte <= last;
}
bool is_continuation(Byte byte) { return in<0x80, 0xBF>(byte); }
bool is_lost(Byte byte) { return byte == kLost; }
bool is_lost_or_mark(Byte byte) { return byte == kLost || byte == '?'; }
bool is_lost_or_continuation(Byte byte) { return byte == kLost || is_continuation(byte); }
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

std::string restore_byte_a0(std::string_view bytes) {
  return replace_sequences(restore_a_grave(bytes), spaced_sequences(), [](std::string_view match) {
    std::string restored(match);
    std::replace(restored.begin(), restored.end(), ' ', '\xA0');
    return restored;
  });
}

bool has_spaced_sequence(std::string_view bytes) {
  for (size_t position = 0; position < bytes.size(); ++position) {
    if (match_length(bytes, position, spaced_sequences()) != 0) return true;
  }
  return false;
}

// UTF-8 of which bytes are lost for good becomes U+FFFD whole.
std::string replace_lossy(std::string_view bytes) {
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

// UTF-8, where C0 80 may stand for U+0000 (Java) and two surrogates of three bytes for one
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

std::optional<std::string> reinterpreted(std::string bytes, const Encoding& encoding) {
  // In macroman the pattern would be an en dash and a space.
  if (encoding.name != "macroman" && has_spaced_sequence(bytes)) bytes = restore_byte_a0(bytes);
  if (encoding.is_lenient()) bytes = replace_lossy(bytes);
  return decode_utf8_variants(bytes);
}

std::string decode_embedded_utf8(std::string_view text, const Pattern& pattern) {
  return pattern.replace_in(text, [&](std::string_view match) {
    return match.size() < text.size() && is_bad(match) ? fix_encoding(match) : std::string(match);
  });
}

bool has_c1_control(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    const char32_t character = next_character(text, position);
    if (character >= 0x80 && character <= 0x9F) return true;
  }
  return false;
}

// Latin-1 bytes as strict windows-1252; empty where that has no character for one.
std::optional<std::string> latin1_as_windows_1252(std::string_view text) {
  std::string result;
  for (size_t position = 0; position < text.size();) {
    const char32_t character = next_character(text, position);
    const bool is_c1 = character >= 0x80 && character <= 0x9F;
    const char32_t meant = is_c1 ? kWindows1252.characters[character - 0x80] : character;
    if (is_c1 && meant == character) return std::nullopt;
    append_utf8(meant, result);
  }
  return result;
}

std::string fix_encoding_once(std::string_view text) {
  static const Pattern utf8_pattern(kUtf8Pattern);
  if (is_ascii(text) || !is_bad(text)) return std::string(text);

  bool is_latin1 = false;
  for (const Encoding& encoding : kEncodings) {
    const std::optional<std::string> bytes = encode(text, encoding);
    if (!bytes) continue;
    is_latin1 |= &encoding == &kLatin1;
    if (auto fixed = reinterpreted(*bytes, encoding)) return *fixed;
  }
  if (std::string fixed = decode_embedded_utf8(text, utf8_pattern); fixed != text) return fixed;
  if (is_latin1) {
    const auto fixed = latin1_as_windows_1252(text);
    if (fixed && *fixed != text) return *fixed;
  }
  return has_c1_control(text) ? fix_c1_controls(text) : std::string(text);
}

}  // namespace

std::string fix_c1_controls(std::string_view text) {
  std::string result;
  for (size_t position = 0; position < text.size();) {
    const char32_t character = next_character(text, position);
    const bool is_c1 = character >= 0x80 && character <= 0x9F;
    append_utf8(is_c1 ? kWindows1252.characters[character - 0x80] : character, result);
  }
  return result;
}

std::string fix_encoding(std::string_view text) {
  std::string current(text);
  while (true) {
    std::string fixed = fix_encoding_once(current);
    if (fixed == current) return fixed;
    current = std::move(fixed);
  }
}

}  // namespace sora
