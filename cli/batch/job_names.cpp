#include "cli/batch/job_names.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/batch/output_names.h"
#include "cli/description/app_walk.h"
#include "lib/core/utf8.h"
#include "lib/jobs/name_template.h"
#include "lib/jobs/output_folder.h"
#include "lib/jobs/stable_seed.h"

namespace sora::cli {
namespace {

// What a name says of an option's value.
std::string said_of(const ResolvedField& field, const std::string& value) {
  if (!takes_file(*field.option)) return value;
  const std::string path = field.name == "--lora" ? parse_lora_choice(value).path : value;
  return std::filesystem::path(path).stem().string() + value.substr(path.size());
}

}  // namespace

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
    values[name] = said_of(fields[i], chosen[i].values.front());
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

bool JobNames::are_free(const std::vector<std::string>& names) const {
  return std::none_of(names.begin(), names.end(),
                      [&](const std::string& name) { return taken_.count(name) > 0; });
}

bool JobNames::take(const std::vector<std::string>& names, const PlannedJob& planned, Place at) {
  for (const std::string& name : names) {
    const auto other = taken_.find(name);
    if (other == taken_.end()) continue;
    faults_.add(at, fmt::format("the output {} is that of line {} as well; give each its own, "
                                "clips with {{index}} or {{seed}} in the name",
                                name, other->second.line));
    return false;
  }
  for (const std::string& name : names) {
    if (taken_.emplace(name, planned.at).second) continue;
    faults_.add(at, fmt::format("{} is the name of two files of this job", name));
    return false;
  }
  return true;
}

bool JobNames::name(const std::vector<ResolvedField>& fields, const std::vector<Choice>& chosen,
                    size_t index, int64_t repetition, PlannedJob& planned) {
  Naming naming = naming_of(fields, chosen, index, planned);
  try {
    naming.values["date"] = rules_.date;
    std::string name = fill_name(naming.name_template, naming.values);
    OutputFolder::check_name(name);
    if (!is_valid_utf8(name))
      fail(ErrorKind::Usage, "the output {} is not UTF-8, and a batch's jobs are kept as text",
           name);
    const OutputSpec& output = planned.make.request.output;
    const auto names = [&] {
      return output_names(name, output.latents_path, variations_of(planned.make.request));
    };
    naming.values["date"] = "date";  // the same job tomorrow
    std::string lasting_name = fill_name(naming.name_template, naming.values);
    if (naming.is_default && !are_free(names())) {
      const std::string suffix = fmt::format(
          "-{:08x}", stable_seed(nlohmann::json(planned.job.command).dump(), repetition));
      name.insert(name.rfind('.'), suffix);
      lasting_name.insert(lasting_name.rfind('.'), suffix);
    }
    if (!take(names(), planned, naming.at)) return false;
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
