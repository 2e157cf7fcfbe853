// sora models convert: one part of a model, in any form that is read, into another form.
#pragma once

#include <nlohmann/json.hpp>

#include "lib/core/model_task.h"
#include "lib/core/observer.h"

namespace sora {

// Writes a diffusers component directory, one safetensors file (transformers under Wan's own names,
// with the config in its metadata, as ComfyUI reads them), or a GGUF. Returns what was written, as
// JSON. Throws Error(Usage) for an output that exists or a type that it cannot hold, Error(NotFound
// | Input) for the input.
nlohmann::json convert_model(const ConvertModel& task, Observer& observer);

}  // namespace sora
