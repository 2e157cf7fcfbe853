// From the entries of a prompt file to jobs: each is a command line of sora, read by the same
// option definitions as one that was typed.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "cli/command.h"
#include "lib/jobs/job.h"
#include "lib/jobs/prompt_file.h"

namespace sora::cli {

struct PlannedJob {
  NewJob job;
  MakeClips make;  // as parsed, without output
  Place at;
  std::map<std::string, Place> option_places;  // "--steps" -> where its value was written
};

struct JobRules {
  std::string file;                   // for faults and places
  std::filesystem::path folder;       // relative paths of inputs begin here
  std::vector<std::string> defaults;  // options on the command line
  std::string name_template;          // empty: after prompt, seed and what is swept
  std::string date;                   // "2026-11-23"
};

struct JobList {
  std::vector<PlannedJob> jobs;
  std::vector<Fault> faults;  // by place
  std::string text_digest;    // of what was read
};

inline constexpr size_t kMaxJobs = 1'000'000;

JobList jobs_of(const PromptFile& prompts, const JobRules& rules);

// Where the option stands that `message` is about; the job's own place where that cannot be told.
Place place_of_fault(const PlannedJob& job, const std::string& message);

}  // namespace sora::cli
