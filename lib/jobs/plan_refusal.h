// What a plan of credits refuses, told apart from what the policy does.
#pragma once

#include <string_view>

#include "lib/core/error.h"

namespace sora {

class PlanRefusal : public Error {
 public:
  enum class Door { Limit, Credits };  // larger or more than it makes; they are spent

  PlanRefusal(Door door, const std::string& message)
      : Error(ErrorKind::Refused, message), door_(door) {}
  Door door() const { return door_; }

 private:
  Door door_;
};

template <typename... Args>
[[noreturn]] void refuse(PlanRefusal::Door door, fmt::format_string<Args...> format,
                         Args&&... args) {
  throw PlanRefusal(door, fmt::format(format, std::forward<Args>(args)...));
}

inline constexpr std::string_view kRefusedByLimit = "plan_limit";
inline constexpr std::string_view kRefusedForCredits = "credits";

// An error's kind as a job keeps it: which door refused is part of it.
inline std::string_view kind_of(const Error& error) {
  const auto* refusal = dynamic_cast<const PlanRefusal*>(&error);
  if (refusal == nullptr) return to_string(error.kind());
  return refusal->door() == PlanRefusal::Door::Limit ? kRefusedByLimit : kRefusedForCredits;
}

}  // namespace sora
