// C0, DEL and C1 (as UTF-8: C2 80 to C2 9F) are what a terminal obeys; ECMA-48.
#include "cli/terminal/terminal.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace sora::cli {

bool stderr_is_animated() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

std::string printable(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const bool is_c1 = byte == 0xC2 && i + 1 < text.size() &&
                       static_cast<uint8_t>(text[i + 1]) >= 0x80 &&
                       static_cast<uint8_t>(text[i + 1]) <= 0x9F;
    if (is_c1) {
      result += '?';
      ++i;
    } else if (byte < 0x20 || byte == 0x7F) {
      result += byte == '\n' || byte == '\t' ? ' ' : '?';
    } else {
      result += text[i];
    }
  }
  return result;
}

void tell_text(std::string_view text) {
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
}

}  // namespace sora::cli
