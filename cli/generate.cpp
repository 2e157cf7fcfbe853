// sora generate: text, with or without a first and last image, to video.
#include <iostream>
#include <iterator>

#include "cli/options.h"
#include "cli/preview.h"
#include "cli/subcommands.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

std::string read_stdin() {
  return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
}

double parse_scale(const std::string& text) {
  double value = 0;
  if (!CLI::detail::lexical_cast(text, value)) fail(ErrorKind::Usage, "--control-scale '{}' is not a number", text);
  return value;
}

struct GenerateOptions {
  MakeClips make;
  GenerateRequest generate;
  Display display;
};

}  // namespace

void add_generate(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* cmd = app.add_subcommand("generate", "Make a video from text");
  cmd->footer(
      "Examples:\n"
      "  sora generate \"a red ball bounces on the meadow\"\n"
      "  sora generate \"a blue star spins at night\" --resolution 720p --duration 3 -o star.mp4\n"
      "  sora generate --recipe star.mp4 -o again.mp4");
  cmd->add_option("prompt", options->generate.prompt, "What the video shows; - reads it from stdin")->type_name("TEXT");
  cmd->add_option("--image", options->generate.image, "Picture the video begins with")->type_name("FILE");
  cmd->add_option("--last-image", options->generate.last_image, "Picture the video ends with")->type_name("FILE");
  cmd->add_option("--storyboard", options->generate.storyboard, "YAML or JSON file of cards: what is shown when")
      ->type_name("FILE");
  cmd->add_option("--preset", options->generate.preset, "Style said with the text; sora presets lists them")->type_name("NAME");
  add_parsed_list(*cmd, "--reference", options->generate.references,
                  "Picture of who or what the video shows, for VACE models; may be given again", "FILE",
                  [](const std::string& path) { return path; });
  cmd->add_option("--control", options->generate.control,
                  "Video that says where things are (depth, pose, lines, grey), for VACE models")
      ->type_name("FILE");
  add_parsed(*cmd, "--control-scale", options->generate.control_scale,
             "Weight of references, control and known frames in VACE models; 1 unless said", "X", parse_scale);
  cmd->add_flag("--loop", options->generate.loop, "The end runs into the beginning");
  cmd->add_option("--variations", options->generate.variations, "Number of clips, each with the next seed")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_option("--recipe", options->make.recipe, "Make again what this clip or JSON file was made from")
      ->type_name("FILE");
  cmd->add_flag("-n,--dry-run", options->make.dry_run, "Print what would be made, with time, memory and credits, and stop");
  add_video_options(*cmd, options->make.request.video);
  add_sampling_options(*cmd, options->make.request.sampling);
  add_runtime_options(*cmd, options->make.request.runtime);
  add_ranks_option(*cmd, options->make.ranks);
  add_output_options(*cmd, options->make.request.output);
  add_plan_option(*cmd, options->make.plan);
  add_display_options(*cmd, options->display);
  add_preview_options(*cmd, options->make.preview);

  cmd->final_callback([options, cmd, &chosen] {
    const bool has_prompt = cmd->count("prompt") > 0;
    if (!has_prompt && options->make.recipe.empty() && options->generate.storyboard.empty()) {
      fail(ErrorKind::Usage, "generate needs a prompt; write sora generate \"a red ball bounces on the meadow\"");
    }
    if (has_prompt && !options->make.recipe.empty()) {
      fail(ErrorKind::Usage, "--recipe brings its own prompt; leave out the one on the command line");
    }
    if (!options->make.recipe.empty()) {
      for (const CLI::Option* option : cmd->get_options()) {
        const std::string group = option->get_group();
        if (option->count() > 0 && (group == "Video" || group == "Sampling")) {
          fail(ErrorKind::Usage, "--recipe repeats a clip as it was; leave out {}", option->get_name());
        }
      }
    }
    if (!options->make.recipe.empty() && !(options->generate.storyboard.empty() && options->generate.preset.empty())) {
      fail(ErrorKind::Usage, "--recipe repeats a clip as it was; leave out --storyboard and --preset");
    }
    if (options->generate.prompt == "-") options->generate.prompt = read_stdin();
    options->make.request.operation = options->generate;
    if (options->make.recipe.empty()) check(options->make.request);
    chosen.action = options->make;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
