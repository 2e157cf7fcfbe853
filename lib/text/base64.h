// The binary tables that a JSON file carries as text (RFC 4648).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sora {

// Empty where `text` holds anything but digits of base64 and the padding at its end.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace sora
