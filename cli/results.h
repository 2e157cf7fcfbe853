// What goes to stdout.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/sora.h"

namespace sora::cli {

// Throws Error(Io) where stdout is closed or full.
void write_result(const std::string& text);
void write_json(const nlohmann::json& object, int indent = -1);  // -1: on one line

nlohmann::json to_json(const ClipResult& clip);

}  // namespace sora::cli
