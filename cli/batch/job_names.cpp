#include "cli/batch/job_names.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/description/app_walk.h"
#include "lib/jobs/name_template.h"
#include "lib/jobs/output_folder.h"
#include "lib/jobs/stable_seed.h"

namespace sora::cli {

JobNames::Naming JobNames::naming_of(const std::vector<ResolvedField>& fields,
                                     const std::vector<Choice>& chosen, size_t index,
                                     const PlannedJob& planned) const {
  Naming naming;
  naming.name_template = rules_.name_template;
  naming.at = planned.at;
  auto& values = naming.values;
  values = {
      {"index", std::to_string(index)},
      {"model", std::filesystem::path(planned.make.request.runtime.model).filename().string()},
      {"operation", planned.job.command.front()}};
  std::string swept;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (chosen[i].values.empty()) continue;
    if (fields[i].option == nullptr) {
      naming.name_template = chosen[i].values.front();
      naming.at = chosen[i].at;
      continue;
    }
    const std::string name = fields[i].option->get_single_name();
    values[name] = takes_file(*fields[i].option)
                       ? std::filesystem::path(chosen[i].values.front()).stem().string()
                       : chosen[i].values.front();
    if (fields[i].choices.size() > 1 && name != "seed" && name != "prompt")
      swept += fmt::format("-{}{{{}}}", name, name);
  }
  const std::optional<uint64_t> seed = planned.make.request.sampling.seed;
  if (seed) values["seed"] = std::to_string(*seed);
  naming.is_default = naming.name_template.empty();
  if (naming.is_default) {
    const std::string_view subject = values.count("prompt")  ? "prompt"
                                     : values.count("input") ? "input"
                                                             : "operation";
    naming.name_template = fmt::format("{{{}}}{}{}.mp4", subject, seed ? "-{seed}" : "", swept);
  }
  return naming;
}

bool JobNames::name(const std::vector<ResolvedField>& fields, const std::vector<Choice>& chosen,
                    size_t index, int64_t repetition, PlannedJob& planned) {
  Naming naming = naming_of(fields, chosen, index, planned);
  try {
    naming.values["date"] = rules_.date;
    std::string name = fill_name(naming.name_template, naming.values);
    OutputFolder::check_name(name);
    naming.values["date"] = "date";  // the same job tomorrow
    std::string lasting_name = fill_name(naming.name_template, naming.values);
    if (naming.is_default && taken_.count(name) > 0) {
      const std::string suffix = fmt::format(
          "-{:08x}", stable_seed(nlohmann::json(planned.job.command).dump(), repetition));
      name.insert(name.rfind('.'), suffix);
      lasting_name.insert(lasting_name.rfind('.'), suffix);
    }
    const auto [other, is_new] = taken_.emplace(name, planned.at);
    if (!is_new) {
      faults_.add(naming.at,
                  fmt::format("the output {} is that of line {} as well; tell them apart with "
                              "{{index}} or {{seed}} in the name",
                              name, other->second.line));
      return false;
    }
    planned.job.output = name;
    planned.job.key =
        nlohmann::json{{"command", planned.job.command}, {"name", lasting_name}}.dump();
    return true;
  } catch (const Error& error) {
    faults_.add(naming.at, error.what(), error.kind());
    return false;
  }
}

}  // namespace sora::cli
