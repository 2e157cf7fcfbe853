// A slug never begins with a dot or a dash and never holds a slash, so that it is a plain file name
// on any system.
#include "lib/pipelines/output_path.h"

#include <fmt/format.h>

#include <cctype>
#include <filesystem>

#include "lib/core/ascii.h"
#include "lib/core/numbered_names.h"

namespace sora {
namespace {

constexpr size_t kMaxSlugBytes = 48;

}  // namespace

std::string slug(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte)) {
      result += ascii_lower(c);
    } else if (!result.empty() && result.back() != '-') {
      result += '-';
    }
    if (result.size() >= kMaxSlugBytes) break;
  }
  while (!result.empty() && result.back() == '-') result.pop_back();
  return result.empty() ? "clip" : result;
}

std::string free_output_path(std::string_view prompt, uint64_t seed, int count) {
  const auto is_taken = [&](const std::string& path) {
    for (int index = 0; index < count; ++index) {
      if (std::filesystem::exists(variation_path(path, index, count))) return true;
    }
    return false;
  };
  const std::string stem = fmt::format("{}-{}", slug(prompt), seed);
  std::string path = stem + ".mp4";
  for (int number = 2; is_taken(path); ++number) path = fmt::format("{}-{}.mp4", stem, number);
  return path;
}

}  // namespace sora
