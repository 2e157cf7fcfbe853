#include "lib/jobs/sweep.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

#include "lib/core/error.h"

namespace sora {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::vector<std::string> listed(std::string_view inside) {
  std::vector<std::string> values;
  while (true) {
    const size_t comma = inside.find(',');
    const std::string_view item = trimmed(inside.substr(0, comma));
    if (item.empty()) fail(ErrorKind::Usage, "a value is missing in the list [{}]", inside);
    values.emplace_back(item);
    if (comma == std::string_view::npos) return values;
    inside.remove_prefix(comma + 1);
  }
}

[[noreturn]] void fail_with_too_many(std::string_view text) {
  fail(ErrorKind::Usage, "{} has more than {} values", text, kMaxSweepValues);
}

// Exact for any number that the type holds, as seeds are. Nothing where an end is none.
template <typename Whole>
std::optional<std::vector<std::string>> counted(std::string_view first, std::string_view last,
                                                std::string_view text) {
  Whole from = 0, to = 0;
  for (const auto& [end, value] : {std::pair(first, &from), std::pair(last, &to)}) {
    const auto [stop, error] = std::from_chars(end.data(), end.data() + end.size(), *value);
    if (error != std::errc() || stop != end.data() + end.size()) return std::nullopt;
  }
  const bool rises = from <= to;
  const uint64_t steps = rises ? static_cast<uint64_t>(to) - static_cast<uint64_t>(from)
                               : static_cast<uint64_t>(from) - static_cast<uint64_t>(to);
  if (steps >= kMaxSweepValues) fail_with_too_many(text);
  std::vector<std::string> values;
  for (uint64_t i = 0; i <= steps; ++i) {
    const auto step = static_cast<Whole>(i);
    values.push_back(std::to_string(static_cast<Whole>(rises ? from + step : from - step)));
  }
  return values;
}

}  // namespace

std::optional<std::vector<std::string>> sweep_values(std::string_view text) {
  text = trimmed(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
    return listed(text.substr(1, text.size() - 2));

  const size_t dots = text.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const size_t slash = text.find('/', dots);
  if (slash == std::string_view::npos) {
    const std::string_view first = text.substr(0, dots), last = text.substr(dots + 2);
    if (auto values = counted<uint64_t>(first, last, text)) return values;
    if (auto values = counted<int64_t>(first, last, text)) return values;
  }
  const std::optional<double> from = number(text.substr(0, dots));
  const std::optional<double> to =
      number(text.substr(dots + 2, slash == std::string_view::npos ? slash : slash - dots - 2));
  if (!from || !to) return std::nullopt;

  double steps = std::abs(*to - *from);
  if (slash == std::string_view::npos) {
    if (steps != std::floor(steps) || *from != std::floor(*from)) {
      fail(ErrorKind::Usage,
           "{} goes between numbers that are not whole; write how many values, such as {}/5", text,
           text);
    }
  } else {
    const std::optional<double> count = number(text.substr(slash + 1));
    if (!count || *count < 1 || *count != std::floor(*count)) {
      fail(ErrorKind::Usage, "{} has no number of values after the slash; write for example {}/5",
           text, text.substr(0, slash));
    }
    steps = *count - 1;
  }
  if (steps + 1 > static_cast<double>(kMaxSweepValues)) fail_with_too_many(text);

  std::vector<std::string> values;
  const auto last = static_cast<size_t>(steps);
  for (size_t i = 0; i <= last; ++i) {
    const double share = last == 0 ? 0.0 : static_cast<double>(i) / static_cast<double>(last);
    values.push_back(fmt::format(
        "{:.12g}", *from + (*to - *from) * share));  // 12 digits: 0.6, not 0.6000000000000001
  }
  return values;
}

}  // namespace sora
