#include "lib/models/expert_names.h"

#include <cctype>

#include "lib/core/ascii.h"

namespace sora {

namespace fs = std::filesystem;

std::string swap_expert(const std::string& name, std::string_view from, std::string_view to) {
  const size_t at = ascii_lower(name).rfind(from);
  if (at == std::string::npos) return "";
  const bool all_upper = std::isupper(static_cast<unsigned char>(name[at + 1])) != 0;
  const bool first_upper = std::isupper(static_cast<unsigned char>(name[at])) != 0;
  std::string word(to);
  for (size_t i = 0; i < word.size(); ++i) {
    if (all_upper || (first_upper && i == 0))
      word[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[i])));
  }
  return name.substr(0, at) + word + name.substr(at + from.size());
}

bool says_noise(std::string_view name, std::string_view level) {
  for (size_t at = name.find(level); at != name.npos; at = name.find(level, at + 1)) {
    const size_t next = name.find_first_not_of("-_. ", at + level.size());
    if (next != name.npos && name.substr(next).starts_with("noise")) return true;
  }
  return false;
}

fs::path other_expert(const fs::path& file, std::string_view from, std::string_view to) {
  const std::string name = swap_expert(file.filename().string(), from, to);
  if (name.empty()) return {};
  const fs::path folder = file.parent_path();
  if (fs::exists(folder / name)) return folder / name;
  const std::string folder_name = swap_expert(folder.filename().string(), from, to);
  if (!folder_name.empty() && fs::exists(folder.parent_path() / folder_name / name))
    return folder.parent_path() / folder_name / name;
  return {};
}

}  // namespace sora
