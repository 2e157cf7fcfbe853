// What is thrown at us from elsewhere, as one sentence: trouble with a file is the system's (Io),
// all else is an error of our own.
#pragma once

#include <exception>
#include <filesystem>
#include <string_view>

#include "lib/core/error.h"

namespace sora {

// torch's messages go on with a trace of the stack, line after line; the first one says what
// happened.
inline Error internal_error(const std::exception& error) {
  if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&error))
    return {ErrorKind::Io, fmt::format("{}: {}", file->path1().string(), file->code().message())};
  const std::string_view message = error.what();
  return {ErrorKind::Internal,
          fmt::format("internal error: {}", message.substr(0, message.find('\n')))};
}

}  // namespace sora
