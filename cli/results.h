// What goes to stdout, and the failure that is part of it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/core/error.h"
#include "lib/sora.h"

namespace sora::cli {

// Throws Error(Io) where stdout is closed or full. Where its reader has gone nobody is told.
void write_result(const std::string& text);
void write_json(const nlohmann::json& object, int indent = -1);  // -1: on one line

nlohmann::json to_json(const ClipResult& clip);

// A failure that the result on stdout tells of already: with --json there is no second object.
class ToldError : public Error {
 public:
  using Error::Error;
};

}  // namespace sora::cli
