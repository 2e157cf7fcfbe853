#include "cli/parse_fault.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

#include "cli/description/app_walk.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

// Levenshtein distance: insertions, deletions and substitutions that turn `a` into `b`.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::vector<std::string> known_names(const CLI::App& app, bool options) {
  std::vector<std::string> names;
  if (options) {
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  } else {
    for (const CLI::App* subcommand : app.get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(subcommand->get_name());
    }
  }
  return names;
}

// "see sora generate --help"
std::string help_of(const CLI::App& called) {
  const bool is_program = called.get_parent() == nullptr;
  return fmt::format("see sora {}--help", is_program ? "" : full_name(called) + " ");
}

// What is left of the command line, from the program down to the innermost subcommand.
std::vector<std::string> extras_of(const CLI::App& called) {
  const CLI::App* program = &called;
  while (program->get_parent() != nullptr) program = program->get_parent();
  return program->remaining(true);
}

[[noreturn]] void fail_on_extra(const std::string& word, const CLI::App& called) {
  const bool is_option = word.size() > 1 && word[0] == '-';
  const std::string flag = word.substr(0, word.find('='));
  const std::vector<std::string> names = known_names(called, is_option);
  const std::string guess = nearest(flag, names);
  const std::string hint = guess.empty() ? help_of(called) : fmt::format("did you mean {}?", guess);
  if (is_option) fail(ErrorKind::Usage, "there is no option {}; {}", flag, hint);
  if (!names.empty()) fail(ErrorKind::Usage, "there is no command '{}'; {}", word, hint);
  fail(ErrorKind::Usage, "'{}' is one argument too many; put a text of several words in quotes",
       word);
}

// The option that CLI11 speaks of: its sentences begin with `before`, the option's name and
// `after`.
const CLI::Option* option_of(const std::string& sentence, const CLI::App& called,
                             std::string_view before, std::string_view after) {
  for (const CLI::Option* option : called.get_options()) {
    if (sentence.starts_with(fmt::format("{}{}{}", before, option->get_name(), after)))
      return option;
  }
  return nullptr;
}

[[noreturn]] void fail_without_value(const CLI::Option& option) {
  fail(ErrorKind::Usage, "{0} needs a value; write {0} {1}", option.get_name(),
       option.get_type_name());
}

// Numbers are the only values that CLI11 converts here.
[[noreturn]] void fail_to_convert(const CLI::Option& option) {
  const std::string name = option.get_name();
  const std::string value = fmt::format("{}", fmt::join(option.results(), " "));
  double number = 0;
  const char* const stop = value.data() + value.size();
  const auto [end, error] = std::from_chars(value.data(), stop, number);
  if (error == std::errc::invalid_argument || end != stop) {
    if (value.starts_with("-")) fail_without_value(option);
    fail(ErrorKind::Usage, "{} takes a number, not '{}'", name, value);
  }
  if (value.find_first_not_of("-0123456789") != std::string::npos)
    fail(ErrorKind::Usage, "{} takes a whole number, not {}", name, value);
  fail(ErrorKind::Usage, "{} takes no number as {} as {}", name,
       value.starts_with("-") ? "small" : "large", value);
}

}  // namespace

void fail_to_parse(const CLI::ParseError& error, const CLI::App& called) {
  const std::string sentence = error.what();
  const bool lacks_command = sentence == CLI::RequiredError::Subcommand(1).what();
  if (lacks_command || dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> extras = extras_of(called);
    if (!extras.empty()) fail_on_extra(extras.front(), called);
    fail(ErrorKind::Usage, "{} needs a command; {}", full_name(called), help_of(called));
  }
  if (const CLI::Option* option = option_of(sentence, called, "Could not convert: ", " = "))
    fail_to_convert(*option);
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    if (const CLI::Option* option = option_of(sentence, called, "", ": ")) {
      if (option->count() > 1)
        fail(ErrorKind::Usage, "{} is given {} times; give it once", option->get_name(),
             option->count());
      fail_without_value(*option);
    }
  }
  if (const CLI::Option* option = option_of(sentence, called, "", " is required"))
    fail(ErrorKind::Usage, "{} is missing; {}", option->get_name(), help_of(called));
  if (const CLI::Option* option = option_of(sentence, called, "", " excludes ")) {
    fail(ErrorKind::Usage, "{} and {} cannot be given together", option->get_name(),
         sentence.substr(option->get_name().size() + std::string_view(" excludes ").size()));
  }
  constexpr std::string_view kRequires = " requires ";
  if (const CLI::Option* option = option_of(sentence, called, "", kRequires)) {
    fail(ErrorKind::Usage, "{0} needs {1}; give both, or leave out {0}", option->get_name(),
         sentence.substr(option->get_name().size() + kRequires.size()));
  }
  throw Error(ErrorKind::Usage, sentence);
}

std::string nearest(const std::string& word, const std::vector<std::string>& names) {
  std::string best;
  size_t best_distance = word.size() / 3 + 1;
  for (const std::string& name : names) {
    const size_t distance = edit_distance(word, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

}  // namespace sora::cli
