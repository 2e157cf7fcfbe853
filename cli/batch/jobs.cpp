#include "cli/batch/jobs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/batch/job_command.h"
#include "cli/batch/job_faults.h"
#include "cli/batch/job_fields.h"
#include "cli/batch/job_names.h"
#include "cli/description/app_walk.h"
#include "cli/signals.h"
#include "lib/jobs/stable_seed.h"

namespace sora::cli {
namespace {

class JobMaking {
 public:
  JobMaking(const JobRules& rules, JobList& list)
      : rules_(rules),
        list_(list),
        faults_(rules.file, list.faults),
        fields_(rules.defaults, faults_),
        names_(rules, faults_) {}

  void add(const PromptEntry& entry) {
    const CLI::App* operation = fields_.operation_of(entry);
    if (operation == nullptr) return;
    const size_t faults_before = faults_.count();
    const std::vector<ResolvedField> fields = fields_.fields_of(*operation, entry);
    if (faults_.count() > faults_before) return;

    size_t count = 1;
    for (const ResolvedField& field : fields) {
      count *= field.choices.size();
      if (list_.jobs.size() + count > kMaxJobs)
        return faults_.add(entry.at, fmt::format("this makes more than {} jobs", kMaxJobs));
    }
    // The last field changes fastest.
    for (size_t number = 0; number < count; ++number) {
      check_not_signalled();
      std::vector<Choice> chosen(fields.size());
      size_t rest = number;
      for (size_t field = fields.size(); field-- > 0;) {
        chosen[field] = fields[field].choices[rest % fields[field].choices.size()];
        rest /= fields[field].choices.size();
      }
      add_job(entry, *operation, fields, chosen);
    }
  }

 private:
  void add_job(const PromptEntry& entry, const CLI::App& operation,
               const std::vector<ResolvedField>& fields, std::vector<Choice> chosen) {
    bool sound = true;
    std::vector<Choice> said = chosen;  // whose seed does not hang on where models lie
    for (size_t i = 0; i < fields.size(); ++i) {
      try {
        resolve_inputs(fields[i], rules_.folder, chosen[i]);
        if (fields[i].option != nullptr && takes_file(*fields[i].option)) said[i] = chosen[i];
      } catch (const Error& error) {
        faults_.add(chosen[i].at, error.what(), error.kind());
        sound = false;
      }
    }
    if (!are_text(chosen)) return;  // more faults would be found only because of that
    std::set<size_t> left_out;
    ParsedJob parsed = try_parse_job(command_of(operation, fields, chosen));
    while (!parsed.error.empty()) {
      sound = false;
      const std::optional<size_t> culprit =
          field_at_fault(operation, fields, chosen, left_out, parsed.error);
      faults_.add(culprit ? chosen[*culprit].at : entry.at, parsed.error, parsed.kind);
      if (!culprit) return;
      left_out.insert(*culprit);
      parsed = try_parse_job(command_of(operation, fields, chosen, left_out));
    }
    if (sound) add_sound_job(entry, operation, fields, chosen, said, parsed.make);
  }

  void add_sound_job(const PromptEntry& entry, const CLI::App& operation,
                     const std::vector<ResolvedField>& fields, const std::vector<Choice>& chosen,
                     const std::vector<Choice>& said, const MakeClips& make) {
    PlannedJob planned;
    planned.make = make;
    planned.at = entry.at;
    planned.job.place = fmt::format("{}:{}", rules_.file, entry.at.line);
    planned.job.model = make.request.runtime.model + " " + make.request.runtime.dtype;
    planned.job.command = command_of(operation, fields, chosen);
    for (size_t i = 0; i < fields.size(); ++i) planned.option_places[fields[i].name] = chosen[i].at;

    const std::string wish = nlohmann::json(command_of(operation, fields, said)).dump();
    const int64_t repetition = repetitions_[wish]++;
    std::optional<uint64_t>& seed = planned.make.request.sampling.seed;
    if (!seed && make.recipe.empty()) {
      seed = stable_seed(wish, repetition);
      planned.job.command.insert(planned.job.command.begin() + 1, fmt::format("--seed={}", *seed));
    }
    if (names_.name(fields, chosen, list_.jobs.size() + 1, repetition, planned))
      list_.jobs.push_back(std::move(planned));
  }

  const JobRules& rules_;
  JobList& list_;
  JobFaults faults_;
  JobFields fields_;
  JobNames names_;
  std::map<std::string, int64_t> repetitions_;
};

}  // namespace

JobList jobs_of(const PromptFile& prompts, const JobRules& rules) {
  JobList list;
  list.faults = prompts.faults;
  JobMaking making(rules, list);
  for (const PromptEntry& entry : prompts.entries) making.add(entry);
  std::stable_sort(list.faults.begin(), list.faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  return list;
}

Place place_of_fault(const PlannedJob& job, const std::string& message) {
  for (const auto& [option, place] : job.option_places) {
    const size_t found = message.find(option);
    const bool is_word =
        found != std::string::npos && option.rfind("--", 0) == 0 &&
        (found + option.size() == message.size() ||
         std::isalnum(static_cast<unsigned char>(message[found + option.size()])) == 0);
    if (is_word) return place;
  }
  return job.at;
}

}  // namespace sora::cli
