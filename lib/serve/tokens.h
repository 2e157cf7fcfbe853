// The token file of the server: a line each of name, plan and the SHA-256 of a token. The token
// itself is kept nowhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/serve/video_service.h"

namespace sora {

class TokenFile {
 public:
  // Throws Error(NotFound | Input), also where others than its owner may write to the file.
  explicit TokenFile(const std::string& path);

  // Takes the same time whichever token it is that differs, and where.
  std::optional<ApiCaller> caller_of(const std::string& token) const;

  std::vector<ApiCaller> callers() const;  // in the file's order

 private:
  struct Row {
    std::string sha256;
    ApiCaller caller;
  };
  std::vector<Row> rows_;
};

// Adds a line for a new random token and returns the token; the file is made where it is missing,
// for its owner alone. `plan` is empty for the one in force. Throws Error(Usage) for a name that is
// taken or holds more than letters, digits, dot, dash and underscore, and for a plan with a blank
// in it, Error(Io).
std::string add_token(const std::string& path, const std::string& name, const std::string& plan);

}  // namespace sora
