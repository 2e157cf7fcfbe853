// The command line of a job, read by the same option definitions as one that was typed.
#pragma once

#include <CLI/CLI.hpp>

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/batch/job_fields.h"
#include "cli/command.h"

namespace sora::cli {

// Relative inputs begin in `folder`; a model or VACE module that is not there is left as a name.
// Throws Error(NotFound) for what is missing, Error(Usage) for stdin, for what is not UTF-8 and for
// a name of an output that leads out of the folder.
void resolve_inputs(const ResolvedField& field, const std::filesystem::path& folder,
                    Choice& choice);

bool are_text(const std::vector<Choice>& chosen);  // UTF-8, all of it

// "generate --steps=4 -- a red ball", without the fields of these numbers. Options first; what has
// no flag, in the order of its declaration, after "--".
std::vector<std::string> command_of(const CLI::App& operation,
                                    const std::vector<ResolvedField>& fields,
                                    const std::vector<Choice>& chosen,
                                    const std::set<size_t>& left_out = {});

struct ParsedJob {
  MakeClips make;
  std::string error;  // empty: none
  ErrorKind kind = ErrorKind::Usage;
};
ParsedJob try_parse_job(const std::vector<std::string>& command);

// The field without which `complaint` goes away: best one after which nothing is wrong, or one that
// it names.
std::optional<size_t> field_at_fault(const CLI::App& operation,
                                     const std::vector<ResolvedField>& fields,
                                     const std::vector<Choice>& chosen,
                                     const std::set<size_t>& left_out,
                                     const std::string& complaint);

}  // namespace sora::cli
