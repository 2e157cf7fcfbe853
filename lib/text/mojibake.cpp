// Sequences of characters that hardly anyone writes ("Ã¶") tell that something is wrong. Then each
// single-byte encoding in turn is tried: if the text can be encoded in it and the bytes are UTF-8,
// that is the text.
#include "lib/text/mojibake.h"

#include <unicode/regex.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/text/damaged_utf8.h"
#include "lib/text/tables/mojibake_tables.h"
#include "lib/text/unicode.h"

namespace sora {
namespace {

constexpr const ByteEncoding& kLatin1 = kByteEncodings[0];
constexpr const ByteEncoding& kWindows1252 = kByteEncodings[1];

// Encodings that write U+FFFD, a byte lost before, as kLostByte, and unassigned bytes as control
// characters.
bool is_lenient(const ByteEncoding& encoding) { return encoding.characters[128] == 0xFFFD; }

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
std::optional<std::string> encode(std::string_view text, const ByteEncoding& encoding) {
  std::map<char32_t, unsigned char> bytes;
  for (size_t i = 0; i < 128; ++i)
    bytes.emplace(encoding.characters[i], static_cast<unsigned char>(0x80 + i));
  bytes.emplace(encoding.characters[128], kLostByte);
  std::string result;
  for (size_t position = 0; position < text.size();) {
    const char32_t character = next_character(text, position);
    if (character < 0x80 && character != kLostByte) {
      result += static_cast<char>(character);
      continue;
    }
    const auto found = bytes.find(character);
    if (found == bytes.end()) return std::nullopt;
    result += static_cast<char>(found->second);
  }
  return result;
}

std::optional<std::string> reinterpreted(std::string bytes, const ByteEncoding& encoding) {
  // In macroman the pattern would be an en dash and a space.
  if (encoding.name != "macroman") bytes = restore_byte_a0(bytes);
  if (is_lenient(encoding)) bytes = replace_lossy_sequences(bytes);
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
  static const Pattern utf8_pattern(kMisreadUtf8Pattern);
  if (is_ascii(text) || !is_bad(text)) return std::string(text);

  bool is_latin1 = false;
  for (const ByteEncoding& encoding : kByteEncodings) {
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
