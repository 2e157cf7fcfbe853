#include "lib/core/numbered_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>

#include "lib/core/ascii.h"
#include "lib/core/error.h"

namespace sora {
namespace {

// The text before and after the one number field, and its zero-padded width. The folder is a part
// of `before` as it stands.
struct NumberField {
  std::string before, after;
  int digits = 0;
};

std::optional<NumberField> find_number_field(const std::string& pattern) {
  NumberField field;
  bool found = false;
  const size_t name = pattern.rfind('/') + 1;  // 0 where there is no folder
  field.before = pattern.substr(0, name);
  for (size_t i = name; i < pattern.size(); ++i) {
    std::string& text = found ? field.after : field.before;
    if (pattern[i] != '%') {
      text += pattern[i];
      continue;
    }
    if (i + 1 < pattern.size() && pattern[i + 1] == '%') {
      text += '%';
      ++i;
      continue;
    }
    size_t end = i + 1;
    while (end < pattern.size() && std::isdigit(static_cast<unsigned char>(pattern[end]))) ++end;
    const std::string width = pattern.substr(i + 1, end - i - 1);
    const bool is_field = end < pattern.size() && pattern[end] == 'd' && width.size() <= 3 &&
                          (width.empty() || (width[0] == '0' && width.size() > 1));
    if (!is_field || found) return std::nullopt;
    found = true;
    field.digits = width.empty() ? 0 : std::min(std::stoi(width), 20);
    i = end;
  }
  if (!found) return std::nullopt;
  return field;
}

}  // namespace

bool names_sequence(const std::string& path) {
  return ascii_lower(std::filesystem::path(path).extension().string()) == ".png" &&
         find_number_field(path).has_value();
}

std::string sequence_path(const std::string& pattern, int64_t number) {
  const std::optional<NumberField> field = find_number_field(pattern);
  if (!field) {
    fail(ErrorKind::Usage,
         "{}: expected one number field in the file's name, such as frames/%05d.png", pattern);
  }
  return fmt::format("{}{:0{}}{}", field->before, number, field->digits, field->after);
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
