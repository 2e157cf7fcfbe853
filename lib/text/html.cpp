#include "lib/text/html.h"

#include <algorithm>
#include <iterator>

#include "lib/text/tables/html_entities.h"
#include "lib/text/unicode.h"

namespace sora {
namespace {

// What the numbers 80 to 9F mean: windows-1252, as browsers have it.
constexpr char32_t kC1Characters[32] = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kLastCharacter = 0x10FFFF;

template <size_t N>
std::optional<std::string_view> find(const HtmlEntity (&table)[N], std::string_view name) {
  const auto found = std::lower_bound(
      std::begin(table), std::end(table), name,
      [](const HtmlEntity& entity, std::string_view text) { return entity.name < text; });
  if (found == std::end(table) || found->name != name) return std::nullopt;
  return found->text;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char32_t digit_value(char c) {
  return static_cast<char32_t>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

bool is_noncharacter(char32_t number) {
  return (number >= 0x1 && number <= 0x8) || number == 0xB || (number >= 0xE && number <= 0x1F) ||
         number == 0x7F || (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
}

void append_number(char32_t number, std::string& result) {
  if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > kLastCharacter) {
    append_utf8(kReplacement, result);
  } else if (number >= 0x80 && number <= 0x9F) {
    append_utf8(kC1Characters[number - 0x80], result);
  } else if (!is_noncharacter(number)) {
    append_utf8(number, result);
  }
}

// The end of "#233;" or "#xE9;" that begins at `start`, or `start` where there is no number. `end`
// excludes nothing.
size_t number_end(std::string_view text, size_t start, char32_t& number) {
  size_t position = start + 1;
  const bool hex = position < text.size() && (text[position] | 0x20) == 'x';
  position += hex ? 1 : 0;
  const size_t digits = position;
  number = 0;
  while (position < text.size() &&
         (hex ? is_hex_digit(text[position]) : is_digit(text[position]))) {
    number = std::min(number * (hex ? 16 : 10) + digit_value(text[position]), kLastCharacter + 1);
    ++position;
  }
  if (position == digits) return start;
  return position < text.size() && text[position] == ';' ? position + 1 : position;
}

// The end of what may be a name: up to 32 characters other than these, and a semicolon.
size_t name_end(std::string_view text, size_t start) {
  constexpr std::string_view kNoName = "\t\n\f <&#;";
  constexpr int kMaxCharacters = 32;
  size_t end = start;
  for (int i = 0;
       i < kMaxCharacters && end < text.size() && kNoName.find(text[end]) == std::string_view::npos;
       ++i) {
    end += utf8_length(text[end]);
  }
  return end > start && end < text.size() && text[end] == ';' ? end + 1 : end;
}

void append_name(std::string_view name, std::string& result) {
  for (size_t length = name.size(); length >= 2 || length == name.size(); --length) {
    if (const auto text = html_entity(name.substr(0, length))) {
      result.append(*text).append(name.substr(length));
      return;
    }
  }
  result.append("&").append(name);
}

}  // namespace

std::optional<std::string_view> html_entity(std::string_view name) {
  return find(kHtmlEntities, name);
}

std::string unescape_html(std::string_view text) {
  std::string result;
  size_t position = 0;
  while (position < text.size()) {
    const size_t start = position + 1;
    if (text[position] != '&') {
      result += text[position++];
      continue;
    }
    char32_t number = 0;
    const bool is_number = start < text.size() && text[start] == '#';
    const size_t end = is_number ? number_end(text, start, number) : name_end(text, start);
    if (end == start) {
      result += '&';
    } else if (is_number) {
      append_number(number, result);
    } else {
      append_name(text.substr(start, end - start), result);
    }
    position = end;
  }
  return result;
}

std::string unescape_certain_html(std::string_view text) {
  constexpr size_t kMaxName = 24;
  std::string result;
  size_t position = 0;
  while (position < text.size()) {
    const size_t start = position + 1;
    size_t end = start;
    if (text[position] == '&') {
      const size_t first = start < text.size() && text[start] == '#' ? start + 1 : start;
      end = first;
      while (end < text.size() && end - first < kMaxName &&
             (is_letter(text[end]) || is_digit(text[end])))
        ++end;
      const bool closed = end > first && end < text.size() && text[end] == ';';
      end = closed ? end + 1 : start;
    }
    if (end == start) {
      result += text[position++];
      continue;
    }
    const std::string_view reference = text.substr(position, end - position);
    const std::string_view name = reference.substr(1);
    position = end;
    if (name[0] == '#') {
      // A number that does not reach to the semicolon, "&#12ab;", is none.
      const std::string decoded = unescape_html(reference);
      result += decoded.find(';') == std::string::npos ? decoded : std::string(reference);
    } else {
      const auto known = html_entity(name);
      result += known ? *known : find(kUppercaseEntities, name).value_or(reference);
    }
  }
  return result;
}

}  // namespace sora
