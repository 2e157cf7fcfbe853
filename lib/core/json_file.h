// Small text and JSON files from a model directory, read with limits because nobody vouches for
// them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace sora {

// The largest that is known is the tokenizer.json of UMT5-XXL: 17 MB, 770,000 values.
inline constexpr int64_t kMaxJsonBytes = 20 << 20;
inline constexpr int64_t kMaxJsonValues = 2'000'000;
inline constexpr int kMaxJsonDepth = 64;

// The bytes of a regular file. Throws Error(NotFound) where there is none, Error(Io) where it
// cannot be read and Error(Input) beyond `max_bytes`.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes = kMaxJsonBytes);

// Throws Error(Input) saying where the text stops being JSON, or that it nests deeper than
// kMaxJsonDepth or has more than kMaxJsonValues. `description` names the text in the message,
// usually a path. NaN, Infinity and -Infinity, which Python writes, are read as strings of that
// spelling.
nlohmann::json parse_json(std::string_view text, const std::string& description);

// Both of the above.
nlohmann::json read_json_file(const std::filesystem::path& path);

// On one line. Bytes that are no UTF-8, which file names may have, become U+FFFD.
std::string to_text(const nlohmann::json& json);

}  // namespace sora
