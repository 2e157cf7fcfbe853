// ftfy's step for UTF-16 surrogates has no counterpart: UTF-8 holds none, and no other step makes
// one.
#include "lib/text/fix_text.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "lib/core/error.h"
#include "lib/text/html.h"
#include "lib/text/mojibake.h"
#include "lib/text/unicode.h"

namespace sora {
namespace {

const icu::Normalizer2& nfc() {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status))
    fail(ErrorKind::Internal, "ICU has no normaliser: {}", u_errorName(status));
  return *normalizer;
}

const icu::Normalizer2& nfkc() {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFKCInstance(status);
  if (U_FAILURE(status))
    fail(ErrorKind::Internal, "ICU has no normaliser: {}", u_errorName(status));
  return *normalizer;
}

std::string normalized(std::string_view text, const icu::Normalizer2& normalizer) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::UnicodeString source = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  std::string result;
  normalizer.normalize(source, status).toUTF8String(result);
  if (U_FAILURE(status))
    fail(ErrorKind::Internal, "ICU cannot normalise the text: {}", u_errorName(status));
  return result;
}

// Ligatures and digraphs of Latin letters: two or three letters that look like one only by
// typography or legacy.
bool is_latin_ligature(char32_t c) {
  return c == 0x132 || c == 0x133 || c == 0x149 || (c >= 0x1C4 && c <= 0x1CC) ||
         (c >= 0x1F1 && c <= 0x1F3) || (c >= 0xFB00 && c <= 0xFB06);
}

bool has_other_width(char32_t c) { return c == 0x3000 || (c >= 0xFF01 && c <= 0xFFEF); }
bool is_single_quote(char32_t c) { return c == 0x2BC || (c >= 0x2018 && c <= 0x201B); }
bool is_double_quote(char32_t c) { return c >= 0x201C && c <= 0x201F; }
bool is_line_break(char32_t c) { return c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029; }

bool is_unwanted_control(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

// Each of these steps sees what the one before it has left.
std::string separate_ligatures(std::string_view text) {
  // A long s and a t; the compatibility form forgets that the s is long.
  constexpr char32_t kLongSt = 0xFB05;
  std::string result;
  for (size_t position = 0; position < text.size();) {
    const size_t start = position;
    const char32_t c = next_character(text, position);
    const std::string_view character = text.substr(start, position - start);
    if (c == kLongSt) {
      result += "\u017Ft";
    } else if (is_latin_ligature(c)) {
      result += normalized(character, nfkc());
    } else {
      result += character;
    }
  }
  return result;
}

std::string standard_width(std::string_view text) {
  std::string result;
  for (size_t position = 0; position < text.size();) {
    const size_t start = position;
    const char32_t c = next_character(text, position);
    const std::string_view character = text.substr(start, position - start);
    if (has_other_width(c)) {
      result += normalized(character, nfkc());
    } else {
      result += character;
    }
  }
  return result;
}

std::string straight_quotes_and_line_breaks(std::string_view text) {
  std::string result;
  for (size_t position = 0; position < text.size();) {
    const char32_t c = next_character(text, position);
    if (is_line_break(c)) {
      if (c == '\r' && position < text.size() && text[position] == '\n') ++position;
      result += '\n';
    } else {
      append_utf8(is_single_quote(c) ? U'\'' : is_double_quote(c) ? U'"' : c, result);
    }
  }
  return result;
}

// The length of "ESC [ 1 ; 31 m" at the start of `text`, 0 where it is none.
size_t terminal_escape_length(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  size_t position = 2;
  while (position < text.size()) {
    size_t next = position;
    const char32_t c = next_character(text, next);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return next;
    if (c != ';' && !u_isdigit(static_cast<UChar32>(c))) return 0;
    position = next;
  }
  return 0;
}

std::string without_controls(std::string_view text) {
  std::string without_escapes;
  for (size_t position = 0; position < text.size();) {
    const size_t escape = terminal_escape_length(text.substr(position));
    if (escape == 0) without_escapes += text[position];
    position += std::max<size_t>(escape, 1);
  }
  std::string result;
  for (size_t position = 0; position < without_escapes.size();) {
    const char32_t c = next_character(without_escapes, position);
    if (!is_unwanted_control(c)) append_utf8(c, result);
  }
  return result;
}

// One line, until nothing changes any more.
std::string fix_line(std::string text, bool unescape) {
  while (true) {
    std::string fixed = fix_encoding(unescape ? unescape_certain_html(text) : text);
    fixed = standard_width(separate_ligatures(fix_c1_controls(fixed)));
    fixed = normalized(without_controls(straight_quotes_and_line_breaks(fixed)), nfc());
    if (fixed == text) return fixed;
    text = std::move(fixed);
  }
}

}  // namespace

std::string fix_text(std::string_view text) {
  std::string result;
  bool unescape = true;  // until a "<" says that this is HTML, whose references are meant
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view line = text.substr(0, end);
    unescape = unescape && line.find('<') == std::string_view::npos;
    result += fix_line(std::string(line), unescape);
    text.remove_prefix(end);
  }
  return result;
}

}  // namespace sora
