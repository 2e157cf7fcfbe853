// Validity of text that comes from outside.
#pragma once

#include <string_view>

namespace sora {

// True when `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF (RFC 3629).
bool is_valid_utf8(std::string_view text);

}  // namespace sora
