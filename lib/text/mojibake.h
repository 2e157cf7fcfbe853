// Text that was decoded in the wrong encoding, "schÃ¶n" for "schön", recognised and decoded again
// by the rules of ftfy 6.3 (https://ftfy.readthedocs.io).
#pragma once

#include <string>
#include <string_view>

namespace sora {

// Valid UTF-8 in and out.
std::string fix_encoding(std::string_view text);

// The control characters U+0080 to U+009F as what windows-1252 has in their place.
std::string fix_c1_controls(std::string_view text);

}  // namespace sora
