// Style presets: YAML files with a text that is said with the prompt. A folder of them comes with
// the program; users put their own into sora/presets below their configuration folder, where a name
// stands before the built-in one.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/pipelines/request.h"

namespace sora {

struct Preset {
  std::string name;  // the file's, without extension
  std::string description;
  std::string prompt;
  std::string negative_prompt;
  std::string path;
};

// $XDG_CONFIG_HOME/sora/presets, or that below ~/.config.
std::filesystem::path user_presets();

// Throws Error(NotFound), Error(Input) for what is no preset.
Preset read_preset(const std::filesystem::path& path);

// Of both folders, by name. Throws Error(Input) naming a file that is no preset.
std::vector<Preset> list_presets(const std::filesystem::path& built_in,
                                 const std::filesystem::path& own);
nlohmann::json to_json(const std::vector<Preset>& presets);

// The request with its preset's texts written out, so that it needs the preset no longer. Throws
// Error(NotFound) for an unknown name.
Request with_preset(Request request, const std::filesystem::path& built_in,
                    const std::filesystem::path& own);

}  // namespace sora
