// A negative prompt that the user gave stays as it is.
#include "lib/pipelines/presets.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/pipelines/storyboard.h"

namespace sora {
namespace {

constexpr int64_t kMaxBytes = 64 << 10;

void add_folder(const std::filesystem::path& folder, std::map<std::string, Preset>& presets) {
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
    if (entry.path().extension() != ".yaml") continue;
    Preset preset = read_preset(entry.path());
    presets[preset.name] = std::move(preset);
  }
}

}  // namespace

Preset read_preset(const std::filesystem::path& path) {
  const nlohmann::json document = yaml_to_json(read_file(path, kMaxBytes), path.string());
  if (!document.is_object())
    fail(ErrorKind::Input, "{} is no list of keys and values", path.string());
  Preset preset;
  preset.name = path.stem().string();
  preset.path = path.string();
  for (const auto& [key, value] : document.items()) {
    std::string* field = key == "description"       ? &preset.description
                         : key == "prompt"          ? &preset.prompt
                         : key == "negative_prompt" ? &preset.negative_prompt
                                                    : nullptr;
    if (!field)
      fail(ErrorKind::Input,
           "{} has an unknown key '{}'; it can have description, prompt, negative_prompt",
           path.string(), key);
    if (!value.is_string()) fail(ErrorKind::Input, "{}: '{}' is not a text", path.string(), key);
    *field = value.get<std::string>();
  }
  if (preset.prompt.empty())
    fail(ErrorKind::Input, "{} has no 'prompt', the text that is said with every other",
         path.string());
  return preset;
}

std::filesystem::path user_presets() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && *config == '/') {
    return std::filesystem::path(config) / "sora" / "presets";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : "/nonexistent") / ".config" / "sora" /
         "presets";
}

std::vector<Preset> list_presets(const std::filesystem::path& built_in,
                                 const std::filesystem::path& own) {
  std::map<std::string, Preset> by_name;
  add_folder(built_in, by_name);
  add_folder(own, by_name);
  std::vector<Preset> presets;
  for (auto& [name, preset] : by_name) presets.push_back(std::move(preset));
  return presets;
}

nlohmann::json to_json(const std::vector<Preset>& presets) {
  nlohmann::json list = nlohmann::json::array();
  for (const Preset& preset : presets) {
    list.push_back({{"name", preset.name},
                    {"description", preset.description},
                    {"prompt", preset.prompt},
                    {"negative_prompt", preset.negative_prompt},
                    {"path", preset.path}});
  }
  return list;
}

Request with_preset(Request request, const std::filesystem::path& built_in,
                    const std::filesystem::path& own) {
  std::visit(
      [&](auto& operation) {
        if constexpr (requires { operation.preset; }) {
          if (operation.preset.empty()) return;
          const std::vector<Preset> presets = list_presets(built_in, own);
          const auto found =
              std::find_if(presets.begin(), presets.end(),
                           [&](const Preset& preset) { return preset.name == operation.preset; });
          if (found == presets.end()) {
            fail(ErrorKind::NotFound,
                 "there is no preset '{}'; sora presets lists them, and {} takes your own",
                 operation.preset, own.string());
          }
          operation.prompt += (operation.prompt.empty() ? "" : ", ") + found->prompt;
          if (!request.sampling.negative_prompt && !found->negative_prompt.empty()) {
            request.sampling.negative_prompt = found->negative_prompt;
          }
          operation.preset.clear();
        }
      },
      request.operation);
  return request;
}

}  // namespace sora
