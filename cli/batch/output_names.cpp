#include "cli/batch/output_names.h"

#include <filesystem>
#include <variant>

#include "lib/core/numbered_names.h"

namespace sora::cli {

std::vector<std::string> output_names(const std::string& output, const std::string& latents,
                                      int variations) {
  std::vector<std::string> names;
  for (int index = 0; index < variations; ++index) {
    for (const std::string& name : {output, latents}) {
      if (name.empty()) continue;
      const std::filesystem::path path = variation_path(name, index, variations);
      names.push_back(path.lexically_normal().string());
    }
  }
  return names;
}

int variations_of(const Request& request) {
  return std::visit([](const auto& operation) { return operation.variations; }, request.operation);
}

std::vector<std::string> picture_names(const std::string& name, int64_t count) {
  if (!names_sequence(name)) return {name};
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i)
    names.push_back(sequence_path(name, kFirstSequenceNumber + i));
  return names;
}

}  // namespace sora::cli
