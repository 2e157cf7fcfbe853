// How progress is written: times and bars.
#pragma once

#include <string>

namespace sora::cli {

std::string clock_text(double seconds);  // "0:07", "1:02:03"
std::string bar_text(double share);      // 28 columns; share 0 to 1

}  // namespace sora::cli
