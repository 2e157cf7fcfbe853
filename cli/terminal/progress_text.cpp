#include "cli/terminal/progress_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace sora::cli {
namespace {

constexpr int kBarWidth = 28;

}  // namespace

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(0.0, seconds + 0.5));
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string bar_text(double share) {
  const int filled = static_cast<int>(share * kBarWidth + 0.5);
  std::string bar;
  for (int i = 0; i < kBarWidth; ++i) bar += i < filled ? "█" : "░";
  return bar;
}

}  // namespace sora::cli
