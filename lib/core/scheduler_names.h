// The names that --scheduler takes. Each has a row in lib/schedulers/scheduler.cpp.
#pragma once

#include <string>
#include <vector>

namespace sora {

inline constexpr const char* kUniPc = "unipc";
inline constexpr const char* kEuler = "euler";
inline constexpr const char* kDpmpp = "dpm++";

std::vector<std::string> scheduler_names();
void check_scheduler_name(const std::string& name);  // throws Error(Usage) for an unknown one

}  // namespace sora
