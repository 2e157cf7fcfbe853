// What ftfy.fix_text does with its default settings: wrong decodings, HTML references, ligatures,
// widths, quotes, line breaks, terminal escapes and control characters, then Unicode's normal form
// C.
#pragma once

#include <string>
#include <string_view>

namespace sora {

// Valid UTF-8 in and out.
std::string fix_text(std::string_view text);

}  // namespace sora
