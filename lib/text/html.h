// HTML's character references, &eacute; &#233; &#xE9;, as the HTML standard (13.5) and Python's
// html.unescape decode them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sora {

// `name` as in the standard's list, "eacute;" or "eacute".
std::optional<std::string_view> html_entity(std::string_view name);

// Every reference in valid UTF-8, with or without its semicolon; "&notit;" is "¬it;".
std::string unescape_html(std::string_view text);

// Only those with a semicolon, and names in capitals such as &EACUTE;, as ftfy does in text of
// which it does not know whether it is HTML.
std::string unescape_certain_html(std::string_view text);

}  // namespace sora
