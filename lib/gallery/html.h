// Text from clips, put into pages and commands so that it stays text: OWASP's rules for HTML
// elements and attributes, and the shell's own quoting.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sora {

// Control characters, and marks that turn the direction of what follows, as U+FFFD; line breaks and
// tabs stay.
std::string visible_text(std::string_view text);

// For element content and quoted attributes: & < > " ' as references, of visible_text().
std::string html_text(std::string_view text);

// For a JavaScript file: JSON in ASCII, with < written as an escape.
std::string script_data(const nlohmann::json& value);

// One word of a POSIX shell; where there are control characters, in bash's $'...' form.
std::string shell_word(std::string_view text);

}  // namespace sora
