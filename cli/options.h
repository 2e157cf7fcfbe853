// The options that all tools share, declared once.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "cli/command.h"

namespace sora::cli {

// CLI11 takes the next option for the value of one that lacks its own. `name` as it is declared,
// "-d,--duration".
void check_is_value(const std::string& name, const std::string& text);

// Binds an option through the library's own parser, whose message is the one the user sees.
template <typename T, typename Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, T& value, const std::string& help,
                        const std::string& type, Parse parse) {
  return app
      .add_option_function<std::string>(
          name,
          [&value, parse, name](const std::string& text) {
            check_is_value(name, text);
            value = parse(text);
          },
          help)
      ->type_name(type);
}

// The same for an option that may be given again.
template <typename T, typename Parse>
CLI::Option* add_parsed_list(CLI::App& app, const std::string& name, std::vector<T>& values,
                             const std::string& help, const std::string& type, Parse parse) {
  return app
      .add_option_function<std::vector<std::string>>(
          name,
          [&values, parse](const std::vector<std::string>& texts) {
            values.clear();
            for (const std::string& text : texts) values.push_back(parse(text));
          },
          help)
      ->type_name(type)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

// An option or argument of `cmd` before the name of its subcommand would count for nothing: throws
// Error(Usage) for one.
void check_none_before_subcommand(const CLI::App& cmd);

void add_size_options(CLI::App& app, VideoSpec& video);
void add_video_options(CLI::App& app, VideoSpec& video);  // with the length
void add_source_options(CLI::App& app, std::string& fit);
void add_sampling_options(CLI::App& app, Sampling& sampling);
// What a model is put together from, where it is not one directory.
void add_model_file_options(CLI::App& app, ModelFiles& files);
void add_runtime_options(CLI::App& app, Runtime& runtime);
void add_ranks_option(CLI::App& app, int& ranks);
void add_output_options(CLI::App& app, OutputSpec& output);
void add_plan_option(CLI::App& app, std::string& plan);
void add_display_options(CLI::App& app, Display& display);

}  // namespace sora::cli
