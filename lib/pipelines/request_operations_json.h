// The operations' own options as JSON, the "arguments" of a request.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/pipelines/request.h"

namespace sora {

nlohmann::json arguments_to_json(const Operation& operation);
// Throws Error(Usage) for an unknown operation, key or type.
Operation operation_from_json(const std::string& name, const nlohmann::json& arguments);

}  // namespace sora
