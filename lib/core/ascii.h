// Letters of names that are ASCII by their formats (file extensions, HTTP headers, published file
// names), whatever the locale.
#pragma once

#include <string>

namespace sora {

// Other bytes, those of UTF-8 among them, stay as they are.
constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string ascii_lower(std::string text) {
  for (char& c : text) c = ascii_lower(c);
  return text;
}

}  // namespace sora
