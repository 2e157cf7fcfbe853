// What an entry of a prompt file says, option by option: a field's name is found among the options
// of the entry's operation, and its value, a list or a sweep becomes the choices of it.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

#include "cli/batch/job_faults.h"
#include "cli/command.h"
#include "lib/jobs/prompt_file.h"

namespace sora::cli {

// One value of one option, of a sweep one of several.
struct Choice {
  std::vector<std::string> values;  // none: a flag
  bool is_off = false;              // a flag that is false, an option that is null
  bool is_false = false;            // a flag that is; its --no- twin, where there is one, is said
  Place at;
};

struct ResolvedField {
  const CLI::Option* option = nullptr;  // null: the output's name
  std::string name;                     // "--steps"; a positional's own
  Place at;
  std::vector<Choice> choices;
};

class JobFields {
 public:
  // `defaults` are options on the batch's own command line.
  JobFields(const std::vector<std::string>& defaults, JobFaults& faults);

  // Null, with a fault, where there is no such operation.
  const CLI::App* operation_of(const PromptEntry& entry);
  // The file's defaults, then the command line's, then the entry's own; later ones take the place
  // of earlier ones. With faults some may be missing.
  std::vector<ResolvedField> fields_of(const CLI::App& operation, const PromptEntry& entry);

 private:
  bool is_option_elsewhere(const std::string& name) const;
  void add_layer(const CLI::App& operation, const std::vector<PromptField>& layer, bool is_default,
                 std::vector<ResolvedField>& fields);
  // False, with a fault, for a field that is no option of such a job.
  bool find(const CLI::App& operation, const PromptField& field, bool is_default,
            ResolvedField& resolved);
  // Each item of a list is a choice; of an option that takes several values, a plain list is one.
  bool add_list(const PromptField& field, ResolvedField& resolved);
  bool add_choices(const PromptField& field, ResolvedField& resolved);

  JobFaults& faults_;
  Command ignored_;
  std::unique_ptr<CLI::App> app_;
  std::vector<const CLI::App*> operations_;
  std::vector<PromptField> command_line_;
};

}  // namespace sora::cli
