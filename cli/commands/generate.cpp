// sora generate: text, with or without a first and last image, to video.
#include <algorithm>
#include <iterator>

#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "cli/stream_text.h"
#include "cli/terminal/preview.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

// Without the end of its last line.
std::string read_stdin() {
  std::string text = read_stream("-");
  text.erase(text.find_last_not_of("\r\n") + 1);
  return text;
}

double parse_scale(const std::string& text) {
  double value = 0;
  if (!CLI::detail::lexical_cast(text, value))
    fail(ErrorKind::Usage, "--control-scale '{}' is not a number", text);
  return value;
}

struct GenerateOptions {
  MakeClips make;
  GenerateRequest generate;
  Display display;
};

void add_generate_options(CLI::App& cmd, GenerateRequest& generate) {
  cmd.add_option("prompt", generate.prompt, "What the video shows; - reads it from stdin")
      ->type_name("TEXT");
  cmd.add_option("--image", generate.image, "Picture the video begins with")->type_name("FILE");
  cmd.add_option("--last-image", generate.last_image, "Picture the video ends with")
      ->type_name("FILE");
  cmd.add_option("--storyboard", generate.storyboard,
                 "YAML or JSON file of cards: what is shown when")
      ->type_name("FILE");
  cmd.add_option("--preset", generate.preset, "Style said with the text; sora presets lists them")
      ->type_name("NAME");
  add_parsed_list(cmd, "--reference", generate.references,
                  "Picture of who or what the video shows, for VACE models; may be given again",
                  "FILE", [](const std::string& path) { return path; });
  cmd.add_option("--control", generate.control,
                 "Video that says where things are (depth, pose, lines, grey), for VACE models")
      ->type_name("FILE");
  add_parsed(cmd, "--control-scale", generate.control_scale,
             "Weight of references, control and known frames in VACE models; 1 unless said", "X",
             parse_scale);
  cmd.add_flag("--loop", generate.loop, "The end runs into the beginning");
  cmd.add_option("--variations", generate.variations, "Number of clips, each with the next seed")
      ->type_name("N")
      ->capture_default_str();
}

// How a clip is made on this machine and where it goes, not what it shows.
bool goes_with_recipe(const CLI::Option& option) {
  constexpr const char* kNames[] = {"--recipe", "--dry-run", "--threads",   "--memory",
                                    "--device", "--ranks",   "--cuda-graph"};
  const std::string group = option.get_group();
  return group == "Output" || group == "Display" ||
         std::any_of(std::begin(kNames), std::end(kNames),
                     [&](const char* name) { return option.check_name(name); });
}

// A text of nothing but spaces says something only beside what else is shown.
bool says_what_is_shown(const CLI::App& cmd, const GenerateRequest& generate) {
  if (!generate.storyboard.empty()) return true;
  if (cmd.count("prompt") == 0) return false;
  const bool is_blank = generate.prompt.find_first_not_of(" \t\r\n") == std::string::npos;
  return !is_blank || !generate.image.empty() || !generate.preset.empty() ||
         !generate.references.empty() || !generate.control.empty();
}

void check_recipe(const CLI::App& cmd) {
  if (cmd.count("prompt") > 0)
    fail(ErrorKind::Usage, "--recipe brings its own prompt; leave out the one on the command line");
  for (const CLI::Option* option : cmd.get_options()) {
    if (option->count() > 0 && !goes_with_recipe(*option))
      fail(ErrorKind::Usage, "--recipe repeats a clip as it was; leave out {}", option->get_name());
  }
}

}  // namespace

void add_generate(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<GenerateOptions>();
  MakeClips& make = options->make;
  CLI::App* cmd = app.add_subcommand("generate", "Make a video from text");
  cmd->footer(
      "Examples:\n"
      "  sora generate \"a red ball bounces on the meadow\"\n"
      "  sora generate \"a pink heart bounces on the sand\" --resolution 720p --duration 3 -o "
      "heart.mp4\n"
      "  sora generate --recipe heart.mp4 -o again.mp4");
  add_generate_options(*cmd, options->generate);
  cmd->add_option("--recipe", make.recipe, "Make again what this clip or JSON file was made from")
      ->type_name("FILE");
  cmd->add_flag("-n,--dry-run", make.dry_run,
                "Print what would be made, with time, memory and credits, and stop");
  add_video_options(*cmd, make.request.video);
  add_sampling_options(*cmd, make.request.sampling);
  add_runtime_options(*cmd, make.request.runtime);
  add_ranks_option(*cmd, make.ranks);
  add_output_options(*cmd, make.request.output);
  add_plan_option(*cmd, make.plan);
  add_display_options(*cmd, options->display);
  add_preview_options(*cmd, make.preview);

  cmd->final_callback([options, cmd, &chosen] {
    const bool has_recipe = !options->make.recipe.empty();
    if (has_recipe) check_recipe(*cmd);
    if (options->generate.prompt == "-") {
      if (options->make.ranks > 1)
        fail(ErrorKind::Usage,
             "the prompt cannot be - with --ranks, as stdin can be read once; write the text");
      options->generate.prompt = read_stdin();
    }
    if (!has_recipe && !says_what_is_shown(*cmd, options->generate)) {
      fail(ErrorKind::Usage,
           "generate needs a prompt; write sora generate \"a red ball bounces on the meadow\"");
    }
    options->make.request.operation = options->generate;
    if (!has_recipe) check(options->make.request);
    chosen.action = options->make;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
