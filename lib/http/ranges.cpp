#include "lib/http/ranges.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace sora {
namespace {

constexpr size_t kMaxRanges = 16;

// One as it was asked for, {-1, n} being the last n bytes and {n, -1} all from byte n on, as first
// and last byte of what there is; nothing where it has none of it.
std::optional<httplib::Range> within(const httplib::Range& asked, ssize_t size) {
  const auto [first, last] = asked;
  if (first < 0 && last < 0) return std::nullopt;
  const ssize_t begin = first >= 0 ? first : std::max<ssize_t>(0, size - last);
  const ssize_t end = first < 0 || last < 0 ? size - 1 : std::min(last, size - 1);
  if (begin > end) return std::nullopt;
  return httplib::Range(begin, end);
}

}  // namespace

httplib::Ranges& ranges_to_send(const httplib::Request& request) {
  return const_cast<httplib::Request&>(request).ranges;
}

std::string clamp_ranges(const httplib::Request& request, size_t size,
                         httplib::Response& response) {
  httplib::Ranges& asked = ranges_to_send(request);
  if (asked.empty()) return "";
  httplib::Ranges held;
  for (const httplib::Range& range : asked) {
    if (const auto bytes = within(range, static_cast<ssize_t>(size))) held.push_back(*bytes);
  }
  if (held.empty() || held.size() > kMaxRanges) {
    response.set_header("Content-Range", fmt::format("bytes */{}", size));
    return held.empty() ? fmt::format("The file has {} bytes, and none of the range.", size)
                        : fmt::format("At most {} ranges are sent at once.", kMaxRanges);
  }
  asked = std::move(held);
  return "";
}

}  // namespace sora
