// What is thrown at us from elsewhere, as one sentence.
#pragma once

#include <exception>
#include <string_view>

#include "lib/core/error.h"

namespace sora {

// torch's messages go on with a trace of the stack, line after line; the first one says what
// happened.
inline Error internal_error(const std::exception& error) {
  const std::string_view message = error.what();
  return {ErrorKind::Internal,
          fmt::format("internal error: {}", message.substr(0, message.find('\n')))};
}

}  // namespace sora
