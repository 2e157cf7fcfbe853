#include "lib/core/model_files.h"

#include <charconv>
#include <cmath>
#include <string_view>

#include "lib/core/error.h"

namespace sora {

LoraChoice parse_lora_choice(std::string_view text) {
  LoraChoice choice;
  std::string_view rest = text;
  const auto last_part = [&rest] {
    const size_t colon = rest.rfind(':');
    return colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  };
  if (const std::string_view expert = last_part(); expert == "high" || expert == "low") {
    choice.expert = expert;
    rest.remove_suffix(expert.size() + 1);
  }
  if (const std::string_view number = last_part(); !number.empty()) {
    double weight = 0;
    const auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), weight);
    if (code == std::errc() && end == number.data() + number.size()) {
      choice.weight = weight;
      rest.remove_suffix(number.size() + 1);
    }
  }
  choice.path = rest;
  if (choice.path.empty() || !std::isfinite(choice.weight) || std::fabs(choice.weight) > 100) {
    fail(ErrorKind::Usage,
         "--lora {} is not FILE[:weight[:high|low]] with a weight from -100 to 100", text);
  }
  return choice;
}

}  // namespace sora
