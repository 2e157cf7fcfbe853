// What models there are, and what each is: for `sora models list` and `show`.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/models/model_info.h"

namespace sora {

// One object a model that can be run by its name: {name, kind, path, family, bytes}. `models_dir`
// may be empty. What cannot be read is left out.
nlohmann::json list_models(const std::filesystem::path& built_in, const std::string& models_dir);

// Family, parts with their sizes and types, defaults, operations, licence if the model tells it.
nlohmann::json describe_model(const ModelInfo& model);

// The same of a transformer's file alone, whose companions are not there: {name, path, kind,
// family, bytes, parts}. Null where the file is no transformer.
nlohmann::json describe_file(const std::string& name, const std::filesystem::path& file);

// Bytes of all the weights below a directory, or of a file; of GGUF and packed ones as they are
// stored.
int64_t stored_bytes(const std::filesystem::path& part);

}  // namespace sora
