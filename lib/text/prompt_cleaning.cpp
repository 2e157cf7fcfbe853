#include "lib/text/prompt_cleaning.h"

#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/text/fix_text.h"
#include "lib/text/html.h"
#include "lib/text/unicode.h"

namespace sora {
namespace {

// str.strip of Python also takes the separators of ASCII, which its regular expressions do not
// count as white space.
bool is_stripped(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

std::string_view strip(std::string_view text) {
  size_t start = text.size();
  size_t end = 0;
  for (size_t position = 0; position < text.size();) {
    const size_t here = position;
    if (is_stripped(next_character(text, position))) continue;
    start = std::min(start, here);
    end = position;
  }
  return start < end ? text.substr(start, end - start) : std::string_view();
}

std::string collapse_white_space(std::string_view text) {
  std::string result;
  bool in_space = false;
  for (size_t position = 0; position < text.size();) {
    const size_t start = position;
    const bool is_space = is_white_space(next_character(text, position));
    if (!is_space) {
      result += text.substr(start, position - start);
    } else if (!in_space) {
      result += ' ';
    }
    in_space = is_space;
  }
  return result;
}

}  // namespace

std::string clean_prompt(std::string_view prompt) {
  if (!is_valid_utf8(prompt)) fail(ErrorKind::Usage, "the prompt is not valid UTF-8");
  const std::string unescaped = unescape_html(unescape_html(fix_text(prompt)));
  return std::string(strip(collapse_white_space(strip(unescaped))));
}

}  // namespace sora
