// The models this program runs: which pipeline classes and single files are known, and what each is
// run with.
#pragma once

#include <filesystem>
#include <string>

#include "lib/core/model_files.h"
#include "lib/models/model_finder.h"
#include "lib/models/model_info.h"

namespace sora {

// Reads the configs of what find_model() has found: a diffusers directory, of which `files` may
// replace parts, or a transformer in a single file with its companions. Throws Error(NotFound)
// where a part is missing, Error(Input) naming an unknown class or field.
ModelInfo read_model_info(const std::string& name, const std::filesystem::path& path,
                          const ModelFiles& files = {});

// Whether the model's own word is that it is run in few steps where nothing is asked of the
// sampling, and a LoRA for that lies among its files.
bool prefers_turbo(const std::filesystem::path& path);

}  // namespace sora
