// Several values written as one: "[1, 2, 3]", "0.2..0.8/4" (four values, both ends among them),
// "1..5" (whole numbers).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

inline constexpr size_t kMaxSweepValues = 100'000;

// Nothing where `text` is no sweep. Throws Error(Usage) for one that is and cannot be: no values, a
// step that is not a whole number, more than kMaxSweepValues.
std::optional<std::vector<std::string>> sweep_values(std::string_view text);

}  // namespace sora
