#include "cli/batch/job_fields.h"

#include <algorithm>
#include <set>

#include "cli/description/app_walk.h"
#include "cli/parse.h"
#include "cli/parse_fault.h"
#include "lib/jobs/output_folder.h"
#include "lib/jobs/prompt_words.h"
#include "lib/jobs/sweep.h"

namespace sora::cli {
namespace {

using Kind = PromptValue::Kind;

// Terms of the field that stand for an option of another name.
struct OtherName {
  std::string_view name;
  std::string_view option;
};
constexpr OtherName kOtherNames[] = {
    {"negative-prompt", "negative"},    {"guidance-scale", "guidance"},
    {"guidance-scale-2", "guidance-2"}, {"cfg-scale", "guidance"},
    {"num-frames", "frames"},           {"duration-s", "duration"},
    {"num-inference-steps", "steps"},
};

// What is not said of a job.
bool belongs_to_batch(const CLI::Option& option) {
  const std::string name = option.get_single_name();
  return option.get_group() == "Display" || name == "dry-run" || name == "help" ||
         name == "force" || name == "ranks" || name == "plan";
}

std::string option_name(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  for (const OtherName& row : kOtherNames) {
    if (row.name == name) return std::string(row.option);
  }
  return name;
}

std::string flag_of(const CLI::Option& option) {
  const std::vector<std::string> flags = flags_of(option);
  return flags.empty() ? option.get_single_name() : flags.back();
}

const CLI::Option* find_option(const CLI::App& operation, const std::string& name) {
  if (const CLI::Option* option = operation.get_option_no_throw("--" + name)) return option;
  if (name.size() == 1) return operation.get_option_no_throw("-" + name);
  const CLI::Option* positional = operation.get_option_no_throw(name);
  return positional != nullptr && flags_of(*positional).empty() ? positional : nullptr;
}

std::string unknown_option(const CLI::App& operation, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::Option* option : options_of(operation)) {
    if (!belongs_to_batch(*option)) names.push_back(option->get_single_name());
  }
  const std::string guess = nearest(option_name(name), names);
  return fmt::format("{} has no option '{}'; {}", operation.get_name(), name,
                     guess.empty() ? fmt::format("see sora {} --help", operation.get_name())
                                   : fmt::format("did you mean {}?", guess));
}

// A list as the several values of one option.
Choice many(const PromptValue& list) {
  Choice choice;
  choice.at = list.at;
  for (const PromptValue& item : list.items)
    choice.values.push_back(item.kind == Kind::Boolean ? (item.boolean ? "true" : "false")
                                                       : item.text);
  return choice;
}

bool is_prompt(const CLI::Option& option) {
  return flags_of(option).empty() && option.get_single_name() == "prompt";
}

void add_scalar(const PromptField& field, const PromptValue& value, ResolvedField& resolved) {
  Choice choice;
  choice.at = value.at;
  const bool is_flag = resolved.option != nullptr && !takes_value(*resolved.option);
  if (value.kind == Kind::Null) {
    choice.is_off = true;
  } else if (value.kind == Kind::Boolean) {
    if (!is_flag && resolved.option != nullptr) {
      fail(ErrorKind::Usage, "'{}' needs a value of the kind {}", field.name,
           resolved.option->get_type_name());
    }
    choice.is_off = choice.is_false = !value.boolean;
  } else if (is_flag) {
    fail(ErrorKind::Usage, "'{}' is true or false, not '{}'", field.name, value.text);
  } else if (value.text == "-" && resolved.option != nullptr && is_prompt(*resolved.option)) {
    fail(ErrorKind::Usage, "'{}' cannot be read from stdin in a batch; write the text", field.name);
  } else {
    const bool is_text = resolved.option == nullptr || resolved.option->get_type_name() == "TEXT" ||
                         takes_file(*resolved.option);
    const auto sweep = is_text ? std::nullopt : sweep_values(value.text);
    for (const std::string& text : sweep.value_or(std::vector<std::string>{value.text})) {
      choice.values = {text};
      resolved.choices.push_back(choice);
    }
    return;
  }
  resolved.choices.push_back(choice);
}

}  // namespace

JobFields::JobFields(const std::vector<std::string>& defaults, JobFaults& faults)
    : faults_(faults), app_(make_app(ignored_)) {
  for (const CLI::App* subcommand : subcommands_of(*app_)) {
    if (subcommand->get_option_no_throw("--seed") != nullptr) operations_.push_back(subcommand);
  }
  std::vector<Fault> found;
  std::vector<PlacedWord> words;
  for (const std::string& word : defaults) words.push_back({word, {}, false});
  command_line_ = fields_of_words(words, kCommandLine, found);
  for (const Fault& fault : found) faults_.add({}, fault.message);
}

const CLI::App* JobFields::operation_of(const PromptEntry& entry) {
  std::string name = "generate";
  Place at = entry.at;
  const std::vector<PromptField>* const layers[] = {&entry.defaults, &command_line_, &entry.fields};
  for (const std::vector<PromptField>* layer : layers) {
    for (const PromptField& field : *layer) {
      if (field.name != "operation") continue;
      name = field.value.text;
      at = field.value.at;
    }
  }
  std::vector<std::string> known;
  for (const CLI::App* operation : operations_) {
    if (operation->get_name() == name) return operation;
    known.push_back(operation->get_name());
  }
  faults_.add(at, fmt::format("there is no operation '{}'; there are {}", name, join(known, ", ")));
  return nullptr;
}

std::vector<ResolvedField> JobFields::fields_of(const CLI::App& operation,
                                                const PromptEntry& entry) {
  std::vector<ResolvedField> fields;
  add_layer(operation, entry.defaults, /*is_default=*/true, fields);
  add_layer(operation, command_line_, /*is_default=*/true, fields);
  add_layer(operation, entry.fields, /*is_default=*/false, fields);
  return fields;
}

bool JobFields::is_option_elsewhere(const std::string& name) const {
  return std::any_of(operations_.begin(), operations_.end(),
                     [&](const CLI::App* other) { return find_option(*other, name) != nullptr; });
}

void JobFields::add_layer(const CLI::App& operation, const std::vector<PromptField>& layer,
                          bool is_default, std::vector<ResolvedField>& fields) {
  std::set<std::string> own;
  for (const PromptField& field : layer) {
    const std::string name = option_name(field.name);
    if (name == "operation") continue;
    if (!is_default && !own.insert(name).second) {
      faults_.add(field.at, fmt::format("'{}' is given twice", field.name));
      continue;
    }
    ResolvedField resolved{nullptr, name, field.at, {}};
    if (!find(operation, field, is_default, resolved) || !add_choices(field, resolved)) continue;
    const auto earlier =
        std::find_if(fields.begin(), fields.end(),
                     [&](const ResolvedField& other) { return other.option == resolved.option; });
    if (earlier != fields.end()) fields.erase(earlier);
    fields.push_back(std::move(resolved));
  }
}

bool JobFields::find(const CLI::App& operation, const PromptField& field, bool is_default,
                     ResolvedField& resolved) {
  if (resolved.name == "output" || resolved.name == "o") return true;
  resolved.option = find_option(operation, resolved.name);
  if (resolved.option == nullptr) {
    if (!is_default || !is_option_elsewhere(resolved.name))
      faults_.add(field.at, unknown_option(operation, field.name));
    return false;
  }
  if (belongs_to_batch(*resolved.option)) {
    faults_.add(field.at, fmt::format("'{}' is no option of a job", field.name));
    return false;
  }
  resolved.name = flag_of(*resolved.option);
  return true;
}

bool JobFields::add_list(const PromptField& field, ResolvedField& resolved) {
  const std::vector<PromptValue>& items = field.value.items;
  const auto is_list = [](const PromptValue& item) { return item.kind == Kind::List; };
  const bool takes_many =
      resolved.option != nullptr && resolved.option->get_items_expected_max() > 1;
  if (takes_many && std::none_of(items.begin(), items.end(), is_list)) {
    resolved.choices.push_back(many(field.value));
    return true;
  }
  for (const PromptValue& item : items) {
    if (!is_list(item)) {
      add_scalar(field, item, resolved);
    } else if (takes_many) {
      resolved.choices.push_back(many(item));
    } else {
      faults_.add(item.at, fmt::format("'{}' takes one value, not a list in a list", field.name));
      return false;
    }
  }
  return true;
}

bool JobFields::add_choices(const PromptField& field, ResolvedField& resolved) {
  const PromptValue& value = field.value;
  try {
    if (resolved.option == nullptr && value.kind == Kind::Text)
      OutputFolder::check_name(value.text);
    if (value.kind == Kind::List) {
      if (!add_list(field, resolved)) return false;
    } else {
      add_scalar(field, value, resolved);
    }
  } catch (const Error& error) {
    faults_.add(value.at, error.what(), error.kind());
    return false;
  }
  if (resolved.choices.empty()) {
    faults_.add(value.at,
                fmt::format("'{}' is an empty list; leave it out, or give values", field.name));
    return false;
  }
  return true;
}

}  // namespace sora::cli
