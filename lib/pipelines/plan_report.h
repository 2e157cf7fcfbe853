// A plan in words and as JSON, for --dry-run.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/pipelines/canvas.h"
#include "lib/pipelines/memory_plan.h"
#include "lib/pipelines/plan.h"

namespace sora {

// FLOP/s that matrix products of the plan's type reach on its device, measured for a few
// milliseconds.
double measure_matrix_rate(const Plan& plan);

std::vector<std::string> describe(const Plan& plan, const ModelInfo& model,
                                  const MemoryPlan& memory, const Canvas& canvas,
                                  double matrix_rate);
nlohmann::json to_json(const Plan& plan, const ModelInfo& model, const MemoryPlan& memory,
                       const Canvas& canvas, double matrix_rate);

}  // namespace sora
