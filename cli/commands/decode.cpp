// sora decode: latents that were kept to the clip they are.
#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

struct DecodeOptions {
  DecodeLatents decode;
  Display display;
};

}  // namespace

void add_decode(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<DecodeOptions>();
  CLI::App* cmd = app.add_subcommand("decode", "Finish a clip from its latents");
  cmd->footer(
      "Examples:\n"
      "  sora decode clip.mp4.latents.safetensors -o clip.mp4\n"
      "  sora decode clip.mp4.latents.safetensors -o clip.mp4 --memory 6G");
  cmd->add_option("latents", options->decode.path,
                  "Latents of --save-latents, or of a clip whose decoding failed; those of several "
                  "windows are not joined")
      ->type_name("FILE");
  Runtime& runtime = options->decode.runtime;
  cmd->add_option_function<std::string>(
         "--memory",
         [&runtime](const std::string& text) { runtime.memory_bytes = parse_bytes(text); },
         "Memory to stay within, such as 8G")
      ->type_name("AMOUNT");
  cmd->add_option("--threads", runtime.threads, "Processor threads; 0 for one a core")
      ->type_name("N")
      ->capture_default_str();
  add_output_options(*cmd, options->decode.output);
  add_plan_option(*cmd, options->decode.plan);
  add_display_options(*cmd, options->display);
  cmd->final_callback([options, &chosen] {
    if (options->decode.path.empty())
      fail(ErrorKind::Usage,
           "decode needs a file of latents; write sora decode clip.latents.safetensors");
    chosen.action = options->decode;
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
