// A slug never begins with a dot or a dash and never holds a slash, so that it is a plain file name
// on any system.
#include "lib/pipelines/output_path.h"

#include <cctype>
#include <filesystem>

#include "lib/core/ascii.h"
#include "lib/core/error.h"
#include "lib/media/video_format.h"

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

std::string variation_path(const std::string& path, int index, int count) {
  if (count == 1) return path;
  if (path == "-")
    fail(ErrorKind::Usage, "{} variations cannot share stdout; write them to files with -o", count);
  const std::filesystem::path whole(path);
  const std::filesystem::path folder = whole.parent_path();
  if (names_sequence(path)) {  // a folder each
    const std::string last = folder.filename().string();
    const bool has_name = !last.empty() && last != "." && last != "..";
    const std::string numbered = fmt::format("{}-{}", has_name ? last : "frames", index + 1);
    return ((has_name ? folder.parent_path() : folder) / numbered / whole.filename()).string();
  }
  const std::string name =
      fmt::format("{}-{}{}", whole.stem().string(), index + 1, whole.extension().string());
  return (folder / name).string();
}

}  // namespace sora
