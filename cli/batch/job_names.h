// The names of a batch's outputs, from a template.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/batch/job_fields.h"
#include "cli/batch/jobs.h"

namespace sora::cli {

class JobNames {
 public:
  JobNames(const JobRules& rules, JobFaults& faults) : rules_(rules), faults_(faults) {}

  // Writes the planned job's output and key; false, with a fault, where another job writes a file
  // of that name. `index` from 1; `repetition` counts jobs of the same command before it.
  bool name(const std::vector<ResolvedField>& fields, const std::vector<Choice>& chosen,
            size_t index, int64_t repetition, PlannedJob& planned);

 private:
  // A template of a name, with what may stand in it.
  struct Naming {
    std::string name_template;
    bool is_default = false;  // nobody gave it
    std::map<std::string, std::string> values;
    Place at;
  };
  // False, with a fault, where another job writes a file of such a name, or this one twice.
  bool take(const std::vector<std::string>& names, const PlannedJob& planned, Place at);
  bool are_free(const std::vector<std::string>& names) const;
  Naming naming_of(const std::vector<ResolvedField>& fields, const std::vector<Choice>& chosen,
                   size_t index, const PlannedJob& planned) const;

  const JobRules& rules_;
  JobFaults& faults_;
  std::map<std::string, Place> taken_;
};

}  // namespace sora::cli
