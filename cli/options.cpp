// Values are only parsed here; sora::check(Request) judges them, so that the command line, recipes
// and batches agree.
#include "cli/options.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cstdint>
#include <map>
#include <system_error>

#include "cli/rank_processes.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

constexpr const char* kModelGroup = "Model and machine";

// Negative numbers and ones that 64 bits do not hold would become other seeds.
std::string seed_fault(const std::string& text) {
  uint64_t seed = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), seed).ec == std::errc()) return "";
  return fmt::format(
      "{} is no seed; seeds go from 0 to {}, and without --seed every clip has another", text,
      UINT64_MAX);
}

// What changes the model's weights, or takes others in their place.
void add_weight_options(CLI::App& app, ModelFiles& files) {
  const std::string group = kModelGroup;
  app.add_option_function<std::vector<std::string>>(
         "--lora",
         [&files](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) files.loras.push_back(parse_lora_choice(text));
         },
         "LoRA added to the transformer, as FILE, FILE:weight or, for one of two experts, "
         "FILE:weight:high and :low; repeatable")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->group(group);
  app.add_flag("--draft", files.draft,
               "Decode with the tiny decoder (taew2_1, taew2_2) that lies among the model's files: "
               "many times faster, less detail")
      ->group(group);
  CLI::Option* turbo =
      app.add_flag_callback(
             "--turbo", [&files] { files.turbo = true; },
             "Few steps, with the distilling LoRA that lies among the model's; what sora generate "
             "does with nano where nothing is asked of the sampling")
          ->group(group);
  app.add_flag_callback(
         "--no-turbo", [&files] { files.turbo = false; }, "All steps, where few are the default")
      ->excludes(turbo)
      ->group(group);
}

}  // namespace

void check_is_value(const std::string& name, const std::string& text) {
  const size_t letter = text.starts_with("--") ? 2 : 1;
  const bool is_option = text.starts_with("-") && text.size() > letter &&
                         std::isalpha(static_cast<unsigned char>(text[letter]));
  if (is_option)
    throw CLI::ConversionError(name.substr(name.rfind(',') + 1), std::vector<std::string>{text});
}

void check_none_before_subcommand(const CLI::App& cmd) {
  const std::string subcommand = cmd.get_subcommands().front()->get_name();
  for (const CLI::Option* option : cmd.get_options()) {
    if (option->count() == 0) continue;
    fail(ErrorKind::Usage, "{} is not one of {}; leave it out, or write after {} what that takes",
         option->get_name(), subcommand, subcommand);
  }
}

void add_size_options(CLI::App& app, VideoSpec& video) {
  const std::string group = "Video";
  add_parsed(app, "--size", video.size, "Width and height in pixels, such as 832x480", "WxH",
             parse_size)
      ->group(group);
  app.add_option("--resolution", video.resolution, "480p, 720p or 1080p")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--aspect", video.aspect,
                 "16:9, 1:1 or 9:16, with --resolution; else the one nearest to what is shown")
      ->type_name("W:H")
      ->group(group);
  add_parsed(app, "--fps", video.fps, "Frames a second, such as 16, 23.976 or 30000/1001", "RATE",
             parse_rational)
      ->group(group);
  app.add_flag("--native", video.native,
               "Draw at the size asked even where the model was not made for it")
      ->group(group);
}

void add_video_options(CLI::App& app, VideoSpec& video) {
  const std::string group = "Video";
  add_parsed(app, "-d,--duration", video.duration_s, "Length in seconds, such as 3 or 2.5s",
             "SECONDS", parse_seconds)
      ->group(group);
  app.add_option("--frames", video.num_frames, "Length in frames")->type_name("N")->group(group);
  add_size_options(app, video);
}

void add_source_options(CLI::App& app, std::string& fit) {
  const std::string group = "Source";
  app.add_option("--fit", fit,
                 "Where the source has another aspect than the output: crop, pad or stretch")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
}

void add_sampling_options(CLI::App& app, Sampling& sampling) {
  const std::string group = "Sampling";
  app.add_option("--seed", sampling.seed,
                 "Number the noise is drawn from; the same seed gives the same clip")
      ->check(CLI::Validator(seed_fault, ""))
      ->type_name("N")
      ->group(group);
  app.add_option("--steps", sampling.steps, "Denoising steps")->type_name("N")->group(group);
  app.add_option("--guidance", sampling.guidance_scale,
                 "How strongly the prompt is followed; 1 switches it off")
      ->type_name("SCALE")
      ->group(group);
  app.add_option("--guidance-2", sampling.guidance_scale_2,
                 "The same for the low-noise expert of a two-expert model")
      ->type_name("SCALE")
      ->group(group);
  add_parsed(app, "--guidance-interval", sampling.guidance_interval,
             "Noise levels between which guidance works, such as 0.2:0.9; steps outside take half "
             "the time",
             "LOW:HIGH", parse_guidance_interval)
      ->group(group);
  app.add_option("--cache", sampling.cache_threshold,
                 "Reuse the velocity of steps that would change it little (EasyCache): the change "
                 "allowed in a row, "
                 "0.05 to 0.2; prints how many were")
      ->type_name("SHARE")
      ->group(group);
  app.add_option("--negative", sampling.negative_prompt, "What the clip should not show")
      ->type_name("TEXT")
      ->group(group);
  app.add_option("--scheduler", sampling.scheduler,
                 "unipc, euler or dpm++; the model's own where not given")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--shift", sampling.shift, "Shift of the noise schedule towards high noise")
      ->type_name("NUMBER")
      ->group(group);
}

void add_model_file_options(CLI::App& app, ModelFiles& files) {
  const std::string group = kModelGroup;
  const struct {
    const char* option;
    std::string* value;
    const char* type;
    const char* help;
  } rows[] = {
      {"--models-dir", &files.models_dir, "DIR",
       "Folder with diffusion_models, vae, text_encoders and clip_vision, as ComfyUI has them"},
      {"--vae", &files.vae, "FILE",
       "The VAE of a transformer in a single file; found beside it where not given"},
      {"--text-encoder", &files.text_encoder, "FILE", "Likewise the text encoder (UMT5)"},
      {"--tokenizer", &files.tokenizer, "PATH",
       "Likewise the tokenizer: spiece.model, or its directory"},
      {"--image-encoder", &files.image_encoder, "FILE",
       "Likewise the image encoder (CLIP) of image to video"},
      {"--tiny-vae", &files.tiny_vae, "FILE",
       "A tiny decoder (TAEHV: taew2_1, taew2_2) to decode with instead of the VAE, for previews"},
      {"--low-noise", &files.transformer_2, "FILE",
       "Likewise the low-noise expert of Wan 2.2 A14B"},
      {"--vace", &files.vace, "FILE",
       "A VACE module, the control branch in a file of its own, to run a text-to-video transformer "
       "with; a path or the name of "
       "one among the transformers"},
  };
  for (const auto& row : rows) {
    app.add_option(row.option, *row.value, row.help)->type_name(row.type)->group(group);
  }
  add_weight_options(app, files);
}

void add_runtime_options(CLI::App& app, Runtime& runtime) {
  const std::string group = kModelGroup;
  app.add_option("-m,--model", runtime.model,
                 "nano (built in), a diffusers directory, a transformer's .safetensors or .gguf, "
                 "or org/name from the "
                 "Hugging Face cache")
      ->type_name("MODEL")
      ->capture_default_str()
      ->group(group);
  add_model_file_options(app, runtime.files);
  app.add_option("--dtype", runtime.dtype,
                 "auto, f32, bf16, or int8: linear layers of the transformer in 8 bits")
      ->type_name("TYPE")
      ->capture_default_str()
      ->group(group);
  app.add_option("--attention", runtime.attention,
                 "auto; torch: PyTorch's; sora: this project's own; or int8: of the tokens to each "
                 "other in 8 bits, where the "
                 "processor gains by it (VNNI without AMX) or the GPU is of compute capability 9.0")
      ->type_name("TYPE")
      ->capture_default_str()
      ->group(group);
  app.add_option("--device", runtime.device, "auto, cpu or cuda")
      ->type_name("DEVICE")
      ->capture_default_str()
      ->group(group);
  app.add_flag("--cuda-graph", runtime.cuda_graph,
               "On a GPU that holds the whole transformer, give it each of its passes as one CUDA "
               "graph; has run on no GPU yet")
      ->group(group);
  add_parsed(app, "--memory", runtime.memory_bytes,
             "Memory to stay within, such as 8G; what the machine has free where not given",
             "AMOUNT", parse_bytes);
  app.get_option("--memory")->group(group);
  app.add_option("--threads", runtime.threads, "Processor threads; 0 for one a core")
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
}

void add_ranks_option(CLI::App& app, int& ranks) {
  app.add_option(
         "--ranks", ranks,
         "Processes on this machine that draw each clip together; torchrun starts them on several")
      ->type_name("N")
      ->check(CLI::Range(1, kMaxRanks).description(""))
      ->group(kModelGroup);
}

void add_output_options(CLI::App& app, OutputSpec& output) {
  const std::string group = "Output";
  app.add_option("-o,--output", output.path,
                 "File to write; the extension chooses the format: .mp4 .webm .mkv .mov .gif .webp "
                 ".apng .y4m, or "
                 "DIR/%05d.png for frames, or - for y4m on stdout")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--codec", output.codec,
                 "Codec instead of the container's usual one, such as hevc, av1 or ffv1")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--quality", output.quality,
                 "The codec's own constant quality (crf): lower is better, for .webp higher")
      ->type_name("N")
      ->group(group);
  app.add_option_function<std::string>(
         "--watermark",
         [&output](const std::string& name) { output.watermark = parse_watermark(name); },
         "Mark the pictures: visible, invisible, both, or none, which is the default")
      ->type_name("KIND")
      ->group(group);
  CLI::Option* sign = app.add_flag("--sign", output.sign,
                                   "Sign the clip with a C2PA manifest that says how it was made")
                          ->group(group);
  app.add_option("--identity", output.identity, "Who signs; made with sora keys new")
      ->type_name("NAME")
      ->capture_default_str()
      ->needs(sign)
      ->group(group);
  app.add_flag("-f,--force", output.force, "Overwrite the output if it exists")->group(group);
  app.add_option(
         "--save-latents", output.latents_path,
         "Also write the final latents, as safetensors; of a clip of several windows, which "
         "sora decode does not join, those of each")
      ->type_name("FILE")
      ->group(group);
}

void add_plan_option(CLI::App& app, std::string& plan) {
  app.add_option("--plan", plan,
                 "Plan whose limits and credits hold: local, plus, pro, or a .toml file; otherwise "
                 "$SORA_PLAN or that of config.toml")
      ->type_name("PLAN")
      ->group("Output");
}

void add_display_options(CLI::App& app, Display& display) {
  const std::string group = "Display";
  static const std::map<std::string, ProgressStyle> kStyles = {{"auto", ProgressStyle::Auto},
                                                               {"bar", ProgressStyle::Bar},
                                                               {"plain", ProgressStyle::Plain},
                                                               {"json", ProgressStyle::Json},
                                                               {"none", ProgressStyle::None}};
  app.add_flag("--json", display.json, "One JSON object a result on stdout")->group(group);
  app.add_flag("-q,--quiet", display.quiet, "Nothing on stderr but errors")->group(group);
  app.add_option_function<std::string>(
         "--progress",
         [&display](const std::string& name) {
           const auto found = kStyles.find(name);
           if (found == kStyles.end()) {
             throw CLI::ValidationError("--progress",
                                        name + " is none of auto, bar, plain, json, none");
           }
           display.progress = found->second;
         },
         "auto, bar, plain, json or none")
      ->type_name("STYLE")
      ->group(group);
}

}  // namespace sora::cli
