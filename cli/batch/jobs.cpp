#include "cli/batch/jobs.h"

#include <algorithm>
#include <set>

#include "cli/description/app_walk.h"
#include "cli/parse.h"
#include "lib/jobs/name_template.h"
#include "lib/jobs/output_folder.h"
#include "lib/jobs/prompt_words.h"
#include "lib/jobs/stable_seed.h"
#include "lib/jobs/sweep.h"

namespace sora::cli {
namespace {

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
  return option.get_group() == "Display" || name == "dry-run" || name == "help" || name == "force" || name == "ranks" ||
         name == "plan";
}

std::string option_name(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  for (const OtherName& row : kOtherNames) {
    if (row.name == name) return std::string(row.option);
  }
  return name;
}

// One value of one option, of a sweep one of several.
struct Choice {
  std::vector<std::string> values;  // none: a flag
  bool is_off = false;              // a flag that is false, an option that is null
  Place at;
};

struct ResolvedField {
  const CLI::Option* option = nullptr;  // null: the output's name
  std::string name;
  Place at;
  std::vector<Choice> choices;
};

// A word of the command and the field it came from.
struct Word {
  std::string text;
  size_t field;
};

std::string flag_of(const CLI::Option& option) {
  const std::vector<std::string> flags = flags_of(option);
  return flags.empty() ? option.get_single_name() : flags.back();
}

class JobMaking {
 public:
  JobMaking(const JobRules& rules, JobList& list)
      : rules_(rules), list_(list), app_(make_app(ignored_)) {
    for (const CLI::App* subcommand : subcommands_of(*app_)) {
      if (subcommand->get_option_no_throw("--seed") != nullptr) operations_.push_back(subcommand);
    }
    std::vector<Fault> faults;
    std::vector<PlacedWord> words;
    for (const std::string& word : rules.defaults) words.push_back({word, {}, false});
    command_line_ = fields_of_words(words, kCommandLine, faults);
    for (const Fault& fault : faults) add_fault({}, fault.message);
  }

  void add(const PromptEntry& entry) {
    const CLI::App* operation = operation_of(entry);
    if (operation == nullptr) return;
    std::vector<ResolvedField> fields;
    const size_t faults_before = list_.faults.size();
    add_layer(*operation, entry.defaults, /*is_default=*/true, fields);
    add_layer(*operation, command_line_, /*is_default=*/true, fields);
    add_layer(*operation, entry.fields, /*is_default=*/false, fields);
    if (list_.faults.size() > faults_before) return;

    size_t count = 1;
    for (const ResolvedField& field : fields) {
      count *= field.choices.size();
      if (list_.jobs.size() + count > kMaxJobs)
        return add_fault(entry.at, fmt::format("this makes more than {} jobs", kMaxJobs));
    }
    // The last field changes fastest.
    for (size_t number = 0; number < count; ++number) {
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
  static constexpr const char* kCommandLine = "command line";

  void add_fault(Place at, std::string message, ErrorKind kind = ErrorKind::Usage) {
    Fault fault{at.line == 0 ? kCommandLine : rules_.file, at, kind, std::move(message)};
    if (seen_faults_.insert(to_string(fault)).second) list_.faults.push_back(std::move(fault));
  }

  const CLI::App* operation_of(const PromptEntry& entry) {
    std::string name = "generate";
    Place at = entry.at;
    const std::vector<PromptField>* const layers[] = {&entry.defaults, &command_line_,
                                                      &entry.fields};
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
    add_fault(at, fmt::format("there is no operation '{}'; there are {}", name, join(known, ", ")));
    return nullptr;
  }

  static const CLI::Option* find_option(const CLI::App& operation, const std::string& name) {
    if (const CLI::Option* option = operation.get_option_no_throw("--" + name)) return option;
    if (name.size() == 1) return operation.get_option_no_throw("-" + name);
    const CLI::Option* positional = operation.get_option_no_throw(name);
    return positional != nullptr && flags_of(*positional).empty() ? positional : nullptr;
  }

  bool is_option_elsewhere(const std::string& name) const {
    return std::any_of(operations_.begin(), operations_.end(),
                       [&](const CLI::App* other) { return find_option(*other, name) != nullptr; });
  }

  // Later layers take the place of earlier ones, option by option.
  void add_layer(const CLI::App& operation, const std::vector<PromptField>& layer, bool is_default,
                 std::vector<ResolvedField>& fields) {
    std::set<std::string> own;
    for (const PromptField& field : layer) {
      const std::string name = option_name(field.name);
      if (name == "operation") continue;
      if (!is_default && !own.insert(name).second) {
        add_fault(field.at, fmt::format("'{}' is given twice", field.name));
        continue;
      }
      ResolvedField resolved{nullptr, name, field.at, {}};
      if (name != "output" && name != "o") {
        resolved.option = find_option(operation, name);
        if (resolved.option == nullptr) {
          if (is_default && is_option_elsewhere(name)) continue;
          add_fault(field.at, unknown_option(operation, field.name));
          continue;
        }
        if (belongs_to_batch(*resolved.option)) {
          add_fault(field.at, fmt::format("'{}' is no option of a job",
                                          field.name));
          continue;
        }
        resolved.name = flag_of(*resolved.option);
      }
      if (!add_choices(field, resolved)) continue;
      const auto earlier =
          std::find_if(fields.begin(), fields.end(),
                       [&](const ResolvedField& other) { return other.option == resolved.option; });
      if (earlier != fields.end()) fields.erase(earlier);
      fields.push_back(std::move(resolved));
    }
  }

  std::string unknown_option(const CLI::App& operation, const std::string& name) const {
    std::vector<std::string> names;
    for (const CLI::Option* option : options_of(operation)) {
      if (!belongs_to_batch(*option)) names.push_back(option->get_single_name());
    }
    const std::string guess = nearest(option_name(name), names);
    return fmt::format("{} has no option '{}'; {}", operation.get_name(), name,
                       guess.empty() ? fmt::format("see sora {} --help", operation.get_name())
                                     : fmt::format("did you mean {}?", guess));
  }

  bool add_choices(const PromptField& field, ResolvedField& resolved) {
    const PromptValue& value = field.value;
    const bool takes_many =
        resolved.option != nullptr && resolved.option->get_items_expected_max() > 1;
    try {
      if (resolved.option == nullptr && value.kind == PromptValue::Kind::Text)
        OutputFolder::check_name(value.text);
      if (value.kind != PromptValue::Kind::List) {
        add_scalar(field, value, resolved);
      } else if (takes_many &&
                 std::none_of(value.items.begin(), value.items.end(), [](const PromptValue& item) {
                   return item.kind == PromptValue::Kind::List;
                 })) {
        resolved.choices.push_back(many(value));
      } else {
        for (const PromptValue& item : value.items) {
          if (item.kind == PromptValue::Kind::List && takes_many) {
            resolved.choices.push_back(many(item));
          } else if (item.kind == PromptValue::Kind::List) {
            add_fault(item.at,
                      fmt::format("'{}' takes one value, not a list in a list", field.name));
            return false;
          } else {
            add_scalar(field, item, resolved);
          }
        }
      }
    } catch (const Error& error) {
      add_fault(value.at, error.what(), error.kind());
      return false;
    }
    if (resolved.choices.empty()) {
      add_fault(value.at,
                fmt::format("'{}' is an empty list; leave it out, or give values", field.name));
      return false;
    }
    return true;
  }

  static Choice many(const PromptValue& list) {
    Choice choice;
    choice.at = list.at;
    for (const PromptValue& item : list.items)
      choice.values.push_back(
          item.kind == PromptValue::Kind::Boolean ? (item.boolean ? "true" : "false") : item.text);
    return choice;
  }

  void add_scalar(const PromptField& field, const PromptValue& value, ResolvedField& resolved) {
    Choice choice;
    choice.at = value.at;
    const bool is_flag = resolved.option != nullptr && !takes_value(*resolved.option);
    if (value.kind == PromptValue::Kind::Null) {
      choice.is_off = true;
    } else if (value.kind == PromptValue::Kind::Boolean) {
      if (!is_flag && resolved.option != nullptr) {
        fail(ErrorKind::Usage, "'{}' needs a value of the kind {}", field.name,
             resolved.option->get_type_name());
      }
      choice.is_off = !value.boolean;
    } else if (is_flag) {
      fail(ErrorKind::Usage, "'{}' is true or false, not '{}'", field.name, value.text);
    } else {
      const bool is_text = resolved.option == nullptr ||
                           resolved.option->get_type_name() == "TEXT" ||
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

  // Relative inputs begin at the prompt file; what is missing is a fault.
  bool resolve_inputs(const ResolvedField& field, Choice& choice) {
    if (field.option == nullptr || !takes_file(*field.option) || choice.is_off) return true;
    for (std::string& value : choice.values) {
      if (field.option->get_group() == "Output") {
        OutputFolder::check_name(value);
        continue;
      }
      if (value == "-")
        fail(ErrorKind::Usage, "'{}' cannot be read from stdin in a batch; name a file",
             field.name);
      const std::filesystem::path path = (rules_.folder / value).lexically_normal();
      if (!std::filesystem::exists(path))
        fail(ErrorKind::NotFound, "{} does not exist", path.string());
      value = path.string();
    }
    return true;
  }

  // Options first; what has no name, in the order of its declaration, after "--".
  std::vector<Word> words_of(const CLI::App& operation, const std::vector<ResolvedField>& fields,
                             const std::vector<Choice>& chosen,
                             const std::set<size_t>& left_out) const {
    std::vector<Word> words;
    std::vector<Word> positionals;
    for (size_t i = 0; i < fields.size(); ++i) {
      const CLI::Option* option = fields[i].option;
      if (option == nullptr || chosen[i].is_off || left_out.count(i) > 0 ||
          flags_of(*option).empty())
        continue;
      if (chosen[i].values.empty()) words.push_back({fields[i].name, i});
      if (option->get_type_size_max() > 1) {
        words.push_back({fields[i].name, i});
        for (const std::string& value : chosen[i].values) words.push_back({value, i});
      } else {
        for (const std::string& value : chosen[i].values)
          words.push_back({value_word(fields[i].name, value), i});
      }
    }
    for (const CLI::Option* option : options_of(operation)) {
      if (!flags_of(*option).empty()) continue;
      for (size_t i = 0; i < fields.size(); ++i) {
        if (fields[i].option != option || chosen[i].is_off || left_out.count(i) > 0) continue;
        for (const std::string& value : chosen[i].values) positionals.push_back({value, i});
      }
    }
    if (!positionals.empty()) words.push_back({"--", positionals.front().field});
    words.insert(words.end(), positionals.begin(), positionals.end());
    return words;
  }

  static std::string value_word(const std::string& flag, const std::string& value) {
    return flag.rfind("--", 0) == 0 ? flag + "=" + value : flag + value;
  }

  static std::vector<std::string> command_of(const CLI::App& operation,
                                             const std::vector<Word>& words) {
    std::vector<std::string> command = {operation.get_name()};
    for (const Word& word : words) command.push_back(word.text);
    return command;
  }

  struct Parsed {
    MakeClips make;
    std::string error;
    ErrorKind kind = ErrorKind::Usage;
  };

  static Parsed try_parse(const std::vector<std::string>& command) {
    try {
      const Command parsed = parse(command);
      if (const auto* make = std::get_if<MakeClips>(&parsed.action))
        return {*make, "", ErrorKind::Usage};
      return {{}, "this is no job", ErrorKind::Usage};
    } catch (const Error& error) {
      return {{}, error.what(), error.kind()};
    }
  }

  // The field without which the complaint goes away: best one after which nothing is wrong, or one
  // that it names.
  std::optional<size_t> field_at_fault(const CLI::App& operation,
                                       const std::vector<ResolvedField>& fields,
                                       const std::vector<Choice>& chosen,
                                       const std::set<size_t>& left_out,
                                       const std::string& complaint) const {
    std::optional<size_t> guess;
    for (size_t i = fields.size(); i-- > 0;) {
      if (left_out.count(i) > 0 || fields[i].option == nullptr) continue;
      std::set<size_t> without = left_out;
      without.insert(i);
      const Parsed parsed =
          try_parse(command_of(operation, words_of(operation, fields, chosen, without)));
      if (parsed.error == complaint) continue;
      const bool is_named = complaint.find(fields[i].name) != std::string::npos;
      if (parsed.error.empty() || is_named) return i;
      if (!guess) guess = i;
    }
    return guess;
  }

  void add_job(const PromptEntry& entry, const CLI::App& operation,
               const std::vector<ResolvedField>& fields, std::vector<Choice> chosen) {
    bool sound = true;
    std::set<size_t> left_out;
    for (size_t i = 0; i < fields.size(); ++i) {
      try {
        resolve_inputs(fields[i], chosen[i]);
      } catch (const Error& error) {
        add_fault(chosen[i].at, error.what(), error.kind());
        sound = false;
      }
    }
    Parsed parsed;
    for (;;) {
      parsed = try_parse(command_of(operation, words_of(operation, fields, chosen, left_out)));
      if (parsed.error.empty()) break;
      sound = false;
      const std::optional<size_t> culprit =
          field_at_fault(operation, fields, chosen, left_out, parsed.error);
      add_fault(culprit ? chosen[*culprit].at : entry.at, parsed.error, parsed.kind);
      if (!culprit) return;
      left_out.insert(*culprit);
    }
    if (sound) add_sound_job(entry, operation, fields, chosen, parsed.make);
  }

  void add_sound_job(const PromptEntry& entry, const CLI::App& operation,
                     const std::vector<ResolvedField>& fields, const std::vector<Choice>& chosen,
                     const MakeClips& make) {
    PlannedJob planned;
    planned.make = make;
    planned.at = entry.at;
    planned.job.place = fmt::format("{}:{}", rules_.file, entry.at.line);
    planned.job.model = make.request.runtime.model + " " + make.request.runtime.dtype;
    const std::vector<Word> words = words_of(operation, fields, chosen, {});
    planned.job.command = command_of(operation, words);
    for (size_t i = 0; i < fields.size(); ++i) planned.option_places[fields[i].name] = chosen[i].at;

    const std::string wish = nlohmann::json(planned.job.command).dump();
    const int64_t repetition = repetitions_[wish]++;
    std::optional<uint64_t> seed = make.request.sampling.seed;
    if (!seed && make.recipe.empty()) {
      seed = stable_seed(wish, repetition);
      planned.make.request.sampling.seed = seed;
      planned.job.command.insert(planned.job.command.begin() + 1, fmt::format("--seed={}", *seed));
    }
    if (!name_output(naming_of(fields, chosen, seed, planned), repetition, planned)) return;
    list_.jobs.push_back(std::move(planned));
  }

  // A template of a name, with what may stand in it.
  struct Naming {
    std::string name_template;
    bool is_default = false;  // nobody gave it
    std::map<std::string, std::string> values;
    Place at;
  };

  Naming naming_of(const std::vector<ResolvedField>& fields, const std::vector<Choice>& chosen,
                   std::optional<uint64_t> seed, const PlannedJob& planned) const {
    Naming naming;
    naming.name_template = rules_.name_template;
    naming.at = planned.at;
    auto& values = naming.values;
    values = {
        {"index", std::to_string(list_.jobs.size() + 1)},
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

  bool name_output(Naming naming, int64_t repetition, PlannedJob& planned) {
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
        add_fault(naming.at,
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
      add_fault(naming.at, error.what(), error.kind());
      return false;
    }
  }

  const JobRules& rules_;
  JobList& list_;
  Command ignored_;
  std::unique_ptr<CLI::App> app_;
  std::vector<const CLI::App*> operations_;
  std::vector<PromptField> command_line_;
  std::set<std::string> seen_faults_;
  std::map<std::string, int64_t> repetitions_;
  std::map<std::string, Place> taken_;
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
