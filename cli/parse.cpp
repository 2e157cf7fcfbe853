// CLI11's own errors and exit codes are turned into Error(Usage) here, so that a wrong flag is exit
// code 2 like every other wrong request.
#include "cli/parse.h"

#include <algorithm>

#include "cli/commands/subcommands.h"
#include "cli/description/app_walk.h"
#include "cli/description/self_description.h"
#include "lib/core/error.h"
#include "sora/build_config.h"

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

// The innermost one: "export" of sora explore export.
const CLI::App* called_subcommand(const CLI::App& app) {
  const CLI::App* innermost = nullptr;
  for (std::vector<CLI::App*> called = app.get_subcommands(); !called.empty();
       called = innermost->get_subcommands()) {
    innermost = called.front();
  }
  return innermost;
}

// The names before a subcommand's own: "sora explore".
std::string names_before(const CLI::App& subcommand) {
  const CLI::App* parent = subcommand.get_parent();
  return parent->get_parent() == nullptr ? parent->get_name()
                                         : names_before(*parent) + " " + parent->get_name();
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

[[noreturn]] void fail_on_extras(const CLI::App& app) {
  const CLI::App* subcommand = called_subcommand(app);
  const CLI::App& context = subcommand != nullptr ? *subcommand : app;
  const std::vector<std::string> extras = app.remaining(true);
  const std::string word = extras.empty() ? "" : extras.front();
  const bool is_option = word.size() > 1 && word[0] == '-';
  const std::string flag = word.substr(0, word.find('='));
  const std::string guess = nearest(flag, known_names(context, is_option));
  const std::string hint =
      guess.empty() ? fmt::format("see sora {}--help", subcommand ? full_name(context) + " " : "")
                    : fmt::format("did you mean {}?", guess);
  if (is_option) fail(ErrorKind::Usage, "there is no option {}; {}", flag, hint);
  if (subcommand == nullptr) fail(ErrorKind::Usage, "there is no command '{}'; {}", word, hint);
  fail(ErrorKind::Usage, "'{}' is one argument too many; put a text of several words in quotes",
       word);
}

}  // namespace

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

std::unique_ptr<CLI::App> make_app(Command& chosen) {
  auto app =
      std::make_unique<CLI::App>("Make videos from text and images, on this machine", "sora");
  app->footer(
      "Examples:\n"
      "  sora generate \"a red ball bounces on the meadow\"\n"
      "  sora extend clip.mp4 --by 3s\n"
      "  sora info clip.mp4\n"
      "  sora generate --help");
  app->set_version_flag("--version", std::string("sora ") + kVersion, "Show the version");
  app->require_subcommand(0, 1);
  for (const AddSubcommand add : kSubcommands) add(*app, chosen);
  add_self_description(*app, chosen);
  return app;
}

Command parse(const std::vector<std::string>& arguments) {
  Command chosen{PrintText{}, {}};
  const std::unique_ptr<CLI::App> app = make_app(chosen);
  try {
    app->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    const CLI::App* subcommand = called_subcommand(*app);
    return {PrintText{subcommand != nullptr ? subcommand->help(names_before(*subcommand))
                                            : app->help()},
            {}};
  } catch (const CLI::CallForVersion& version) {
    return {PrintText{std::string(version.what()) + "\n"}, {}};
  } catch (const CLI::ExtrasError&) {
    fail_on_extras(*app);
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::Usage, error.what());
  }
  if (arguments.empty()) return {PrintText{app->help()}, {}};
  return chosen;
}

}  // namespace sora::cli
