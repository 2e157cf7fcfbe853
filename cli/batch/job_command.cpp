#include "cli/batch/job_command.h"

#include <algorithm>
#include <variant>

#include "cli/description/app_walk.h"
#include "cli/parse.h"
#include "lib/core/utf8.h"
#include "lib/jobs/output_folder.h"

namespace sora::cli {
namespace {

void add_option_words(const ResolvedField& field, const Choice& choice,
                      std::vector<std::string>& words) {
  if (choice.values.empty()) words.push_back(field.name);
  if (field.option->get_type_size_max() > 1) {
    words.push_back(field.name);
    words.insert(words.end(), choice.values.begin(), choice.values.end());
    return;
  }
  const bool is_long = field.name.rfind("--", 0) == 0;
  for (const std::string& value : choice.values)
    words.push_back(field.name + (is_long ? "=" : "") + value);
}

void add_no_twin(const CLI::App& operation, const ResolvedField& field,
                 std::vector<std::string>& words) {
  if (field.option == nullptr) return;
  const std::string twin = "--no-" + field.option->get_single_name();
  if (operation.get_option_no_throw(twin) != nullptr) words.push_back(twin);
}

void check_is_utf8(const ResolvedField& field, const std::string& value) {
  if (!is_valid_utf8(value)) {
    fail(ErrorKind::Usage, "'{}': {} is not UTF-8, and a batch's jobs are kept as text", field.name,
         value);
  }
}

bool names_path(const CLI::Option& option) {
  return completes_file(option) || completes_folder(option);
}

// Values that may be a name instead of a path.
bool may_be_name(const ResolvedField& field, const std::string& value) {
  return field.option->get_type_name() == "MODEL" ||
         (field.name == "--vace" && value.find('/') == std::string::npos);
}

std::string resolve_input(const ResolvedField& field, const std::filesystem::path& folder,
                          const std::string& value) {
  if (value == "-")
    fail(ErrorKind::Usage, "'{}' cannot be read from stdin in a batch; name a file", field.name);
  const std::string named = field.name == "--lora" ? parse_lora_choice(value).path : value;
  const std::filesystem::path path = (folder / named).lexically_normal();
  if (!std::filesystem::exists(path)) {
    if (may_be_name(field, value)) return value;
    fail(ErrorKind::NotFound, "{} does not exist", path.string());
  }
  return path.string() + value.substr(named.size());
}

}  // namespace

bool are_text(const std::vector<Choice>& chosen) {
  return std::all_of(chosen.begin(), chosen.end(), [](const Choice& choice) {
    return std::all_of(choice.values.begin(), choice.values.end(), is_valid_utf8);
  });
}

void resolve_inputs(const ResolvedField& field, const std::filesystem::path& folder,
                    Choice& choice) {
  for (std::string& value : choice.values) {
    check_is_utf8(field, value);
    if (field.option == nullptr || choice.is_off || !names_path(*field.option)) continue;
    if (field.option->get_group() == "Output") {
      OutputFolder::check_name(value);
    } else if (value != Runtime{}.model || field.option->get_type_name() != "MODEL") {
      value = resolve_input(field, folder, value);
      check_is_utf8(field, value);
    }
  }
}

std::vector<std::string> command_of(const CLI::App& operation,
                                    const std::vector<ResolvedField>& fields,
                                    const std::vector<Choice>& chosen,
                                    const std::set<size_t>& left_out) {
  const auto is_said = [&](size_t i) {
    return fields[i].option != nullptr && !chosen[i].is_off && left_out.count(i) == 0;
  };
  std::vector<std::string> words = {operation.get_name()};
  for (size_t i = 0; i < fields.size(); ++i) {
    if (chosen[i].is_false && left_out.count(i) == 0) add_no_twin(operation, fields[i], words);
    if (is_said(i) && !flags_of(*fields[i].option).empty())
      add_option_words(fields[i], chosen[i], words);
  }
  std::vector<std::string> positionals;
  for (const CLI::Option* option : options_of(operation)) {
    if (!flags_of(*option).empty()) continue;
    for (size_t i = 0; i < fields.size(); ++i) {
      if (is_said(i) && fields[i].option == option)
        positionals.insert(positionals.end(), chosen[i].values.begin(), chosen[i].values.end());
    }
  }
  if (!positionals.empty()) words.push_back("--");
  words.insert(words.end(), positionals.begin(), positionals.end());
  return words;
}

ParsedJob try_parse_job(const std::vector<std::string>& command) {
  try {
    const Command parsed = parse(command);
    if (const auto* make = std::get_if<MakeClips>(&parsed.action))
      return {*make, "", ErrorKind::Usage};
    return {{}, "this is no job", ErrorKind::Usage};
  } catch (const Error& error) {
    return {{}, error.what(), error.kind()};
  }
}

std::optional<size_t> field_at_fault(const CLI::App& operation,
                                     const std::vector<ResolvedField>& fields,
                                     const std::vector<Choice>& chosen,
                                     const std::set<size_t>& left_out,
                                     const std::string& complaint) {
  std::optional<size_t> guess;
  for (size_t i = fields.size(); i-- > 0;) {
    if (left_out.count(i) > 0 || fields[i].option == nullptr) continue;
    std::set<size_t> without = left_out;
    without.insert(i);
    const ParsedJob parsed = try_parse_job(command_of(operation, fields, chosen, without));
    if (parsed.error == complaint) continue;
    const bool is_named = complaint.find(fields[i].name) != std::string::npos;
    if (parsed.error.empty() || is_named) return i;
    if (!guess) guess = i;
  }
  return guess;
}

}  // namespace sora::cli
