// The one exception type of the library, and the exit code each kind of failure has.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "lib/export.h"

namespace sora {

enum class ErrorKind {
  Internal,     // our own bug
  Usage,        // an option or argument is wrong
  Input,        // a file was found and is not valid
  NotFound,     // a file, model or option value does not exist
  Memory,       // the machine has too little of it
  Io,           // disk full, permission, closed pipe
  BatchFailed,  // some jobs of a batch failed
  Refused,      // by policy or plan
  Numerical,    // NaN, infinity, a black clip
  Stopped,      // asked to stop, can be resumed
  Cancelled,    // interrupted by the user
};

// The exit code of the program for an error of this kind; never 100-127, which shells and CLI11
// use.
SORA_EXPORT int exit_code(ErrorKind kind);

// The kind's name in JSON output: "usage", "not_found", ...
SORA_EXPORT std::string_view to_string(ErrorKind kind);

// `what()` is one sentence that names the thing, what was found, what was wanted, and how to mend
// it.
class SORA_EXPORT Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// The disk has no room: an Io error that whatever is written there next would meet as well.
class SORA_EXPORT DiskFull : public Error {
 public:
  explicit DiskFull(const std::string& message) : Error(ErrorKind::Io, message) {}
};

template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sora
