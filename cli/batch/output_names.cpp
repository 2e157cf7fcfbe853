// As lib/pipelines/output_path.h and lib/media/video_format.h name them, which this program reads
// no clip without.
#include "cli/batch/output_names.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <variant>

namespace sora::cli {
namespace {

namespace fs = std::filesystem;

// The one number field of a name such as frames/%05d.png.
struct PictureNumber {
  size_t begin, end;
  int digits;
};

std::optional<PictureNumber> picture_number(const std::string& name) {
  const size_t begin = name.find('%', name.rfind('/') + 1);
  if (begin == std::string::npos || fs::path(name).extension() != ".png") return std::nullopt;
  const size_t letter = name.find_first_not_of("0123456789", begin + 1);
  const std::string digits = name.substr(begin + 1, letter - begin - 1);
  const bool has_another = name.find('%', begin + 1) != std::string::npos;
  if (name[letter] != 'd' || digits.size() > 2 || has_another) return std::nullopt;
  return PictureNumber{begin, letter + 1, digits.empty() ? 0 : std::stoi(digits)};
}

std::string variation_name(const std::string& name, int index, int count) {
  if (count == 1) return name;
  const fs::path whole(name);
  const fs::path folder = whole.parent_path();
  if (picture_number(name)) {
    const std::string last = folder.empty() ? "frames" : folder.filename().string();
    return (folder.parent_path() / fmt::format("{}-{}", last, index + 1) / whole.filename())
        .string();
  }
  return (folder /
          fmt::format("{}-{}{}", whole.stem().string(), index + 1, whole.extension().string()))
      .string();
}

}  // namespace

std::vector<std::string> output_names(const std::string& output, const std::string& latents,
                                      int variations) {
  std::vector<std::string> names;
  for (int index = 0; index < variations; ++index) {
    for (const std::string& name : {output, latents}) {
      if (!name.empty())
        names.push_back(fs::path(variation_name(name, index, variations)).lexically_normal());
    }
  }
  return names;
}

int variations_of(const Request& request) {
  return std::visit([](const auto& operation) { return operation.variations; }, request.operation);
}

std::vector<std::string> picture_names(const std::string& name, int64_t count) {
  const std::optional<PictureNumber> number = picture_number(name);
  if (!number) return {name};
  std::vector<std::string> names;
  for (int64_t i = 1; i <= count; ++i)
    names.push_back(name.substr(0, number->begin) + fmt::format("{:0{}}", i, number->digits) +
                    name.substr(number->end));
  return names;
}

}  // namespace sora::cli
