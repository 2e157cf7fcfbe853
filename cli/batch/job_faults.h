// The faults of a batch, each said once.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/jobs/prompt_file.h"

namespace sora::cli {

inline constexpr const char* kCommandLine = "command line";

class JobFaults {
 public:
  // `file` is what faults call the prompt file.
  JobFaults(std::string file, std::vector<Fault>& faults)
      : file_(std::move(file)), faults_(faults) {}

  void add(Place at, std::string message, ErrorKind kind = ErrorKind::Usage) {
    Fault fault{at.line == 0 ? kCommandLine : file_, at, kind, std::move(message)};
    if (seen_.insert(to_string(fault)).second) faults_.push_back(std::move(fault));
  }
  size_t count() const { return faults_.size(); }

 private:
  const std::string file_;
  std::vector<Fault>& faults_;
  std::set<std::string> seen_;
};

}  // namespace sora::cli
