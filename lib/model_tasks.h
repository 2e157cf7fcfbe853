// `sora models`, behind the engine.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/core/model_task.h"
#include "lib/core/observer.h"

namespace sora {

// The result as JSON. `built_in` is the folder of models that comes with the program. Throws Error.
nlohmann::json run_model_task(const ModelTask& task, const std::filesystem::path& built_in,
                              Observer& observer);

}  // namespace sora
