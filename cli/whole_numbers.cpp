// CLI11 takes 010 for 8 and 0x10 for 16, lets blanks stand before a number, and makes of one that
// is too large the largest there is.
#include "cli/whole_numbers.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace sora::cli {
namespace {

bool is_whole_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Of 64 bits, with a sign or without.
bool fits(const std::string& text) {
  const auto is_read_as = [&](auto number) {
    return std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc();
  };
  return is_read_as(int64_t{0}) || is_read_as(uint64_t{0});
}

std::string without_zeros_before(const std::string& text) {
  const std::string sign = text.starts_with('-') ? "-" : "";
  const size_t first = std::min(text.find_first_not_of('0', sign.size()), text.size() - 1);
  return sign + text.substr(first);
}

}  // namespace

void read_in_base_10(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_type_name() != "N" && option->get_type_name() != "JOB") continue;
    const auto refuse = [option](const std::string& text) {
      throw CLI::ConversionError(option->get_name(), std::vector<std::string>{text});
    };
    option->transform(CLI::Validator(
        [refuse](std::string& text) {
          if (!is_whole_number(text)) refuse(text);
          text = without_zeros_before(text);
          return std::string();
        },
        ""));
    // After what an option says itself of numbers that are too large for it.
    option->check(CLI::Validator(
        [refuse](const std::string& text) {
          if (!fits(text)) refuse(text);
          return std::string();
        },
        ""));
  }
  for (CLI::App* subcommand : app.get_subcommands([](const CLI::App*) { return true; }))
    read_in_base_10(*subcommand);
}

}  // namespace sora::cli
