// Text from stdin or a pipe, whose writer may take its time.
#pragma once

#include <string>

namespace sora::cli {

// All that comes, to its end. Throws Error(Cancelled) once a signal asks for a stop, Error(Io)
// where `name` cannot be read. "-" is stdin.
std::string read_stream(const std::string& name);

}  // namespace sora::cli
