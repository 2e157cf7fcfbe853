#include "lib/gallery/html.h"

#include <fmt/format.h>

namespace sora {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// U+0080 to U+009F, in UTF-8 C2 80 to C2 9F, and the marks that turn the direction of what follows.
size_t steering_bytes(std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  if (rest.size() >= 2 && rest[0] == '\xC2' && static_cast<unsigned char>(rest[1]) < 0xA0) return 2;
  for (const std::string_view mark :
       {"\u202A", "\u202B", "\u202C", "\u202D", "\u202E", "\u2066", "\u2067", "\u2068", "\u2069"}) {
    if (rest.starts_with(mark)) return mark.size();
  }
  return 0;
}

}  // namespace

std::string visible_text(std::string_view text) {
  std::string visible;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t steering = steering_bytes(text, i);
    if (steering > 0 || (is_control(text[i]) && text[i] != '\n' && text[i] != '\t')) {
      visible += "\uFFFD";
      i += steering > 0 ? steering - 1 : 0;
    } else {
      visible += text[i];
    }
  }
  return visible;
}

std::string html_text(std::string_view text) {
  std::string html;
  for (const char c : visible_text(text)) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string script_data(const nlohmann::json& value) {
  const std::string json =
      value.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
  std::string script;
  for (const char c : json) script += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return script;
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) return std::string(text);
  bool plain = true;
  for (size_t i = 0; i < text.size(); ++i)
    plain = plain && !is_control(text[i]) && steering_bytes(text, i) == 0;
  std::string word = plain ? "'" : "$'";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const size_t steering = plain ? 0 : steering_bytes(text, i);
    if (steering > 0 || (!plain && is_control(c))) {
      for (size_t k = 0; k < std::max<size_t>(steering, 1); ++k) {
        word += fmt::format("\\{:03o}", static_cast<unsigned char>(text[i + k]));
      }
      i += std::max<size_t>(steering, 1) - 1;
    } else if (c == '\'') {
      word += plain ? "'\\''" : "\\'";
    } else if (c == '\\' && !plain) {
      word += "\\\\";
    } else {
      word += c;
    }
  }
  return word + "'";
}

}  // namespace sora
