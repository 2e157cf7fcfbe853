// The models this program runs: how a name leads to a directory, and which pipeline classes are known.
#pragma once

#include <filesystem>
#include <string>

#include "lib/models/model_info.h"

namespace sora {

// "nano" and other built-in names below `built_in` (the folder of models that comes with the program), a directory, or
// org/name[@revision] in the Hugging Face cache. Throws Error(NotFound) saying where was looked.
std::filesystem::path find_model(const std::string& name, const std::filesystem::path& built_in);

// Reads the configs of a diffusers directory. Throws Error(NotFound) where it is none, Error(Input) naming an unknown
// class or field.
ModelInfo read_model_info(const std::string& name, const std::filesystem::path& directory);

}  // namespace sora
