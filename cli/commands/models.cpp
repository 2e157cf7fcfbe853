// sora models: which models there are, what each is, whether it is whole, other forms of it, and
// from where it comes.
#include <cstdint>

#include "cli/commands/subcommands.h"
#include "cli/options.h"

namespace sora::cli {
namespace {

// A subcommand of models: its task is bound by the caller, what all of them share here.
template <typename Task>
CLI::App* add_action(CLI::App& models, Command& chosen, const std::shared_ptr<Task>& task,
                     const std::string& name, const std::string& description,
                     const std::string& examples) {
  auto display = std::make_shared<Display>();
  CLI::App* cmd = models.add_subcommand(name, description);
  cmd->footer("Examples:\n" + examples);
  add_display_options(*cmd, *display);
  cmd->final_callback([task, display, &chosen] {
    chosen.action = UseModels{*task};
    chosen.display = *display;
  });
  return cmd;
}

void add_models_dir(CLI::App& cmd, std::string& folder) {
  cmd.add_option("--models-dir", folder,
                 "Folder with diffusion_models, vae, text_encoders and clip_vision, as ComfyUI "
                 "has them")
      ->type_name("DIR");
}

void add_list_action(CLI::App& models, Command& chosen) {
  auto list = std::make_shared<ListModels>();
  CLI::App* cmd =
      add_action(models, chosen, list, "list",
                 "List the models built in, in the Hugging Face cache and in a folder",
                 "  sora models list\n  sora models list --models-dir ~/ComfyUI/models");
  add_models_dir(*cmd, list->models_dir);
  cmd->get_option("--models-dir")->check(CLI::ExistingDirectory.description(""));
}

void add_show_action(CLI::App& models, Command& chosen) {
  auto show = std::make_shared<ShowModel>();
  CLI::App* cmd = add_action(
      models, chosen, show, "show", "Show what a model is, and the memory that a clip takes",
      "  sora models show nano\n"
      "  sora models show wan2.1_t2v_1.3B_bf16.safetensors --size 832x480 --frames 81\n"
      "  sora models show wan2.1_t2v_14B_bf16.safetensors --vace "
      "Wan2_1-VACE_module_14B_bf16.safetensors");
  cmd->add_option("model", show->model, "As for --model")->type_name("MODEL")->required();
  add_model_file_options(*cmd, show->files);
  cmd->add_option("--size", show->size, "Size of the clip whose memory is told, such as 832x480")
      ->type_name("WxH");
  cmd->add_option("--frames", show->num_frames, "Its number of frames")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, INT64_MAX).description(""));
}

void add_verify_action(CLI::App& models, Command& chosen) {
  auto verify = std::make_shared<VerifyModel>();
  CLI::App* cmd = add_action(models, chosen, verify, "verify",
                             "Compare a model's files with the digests that their hub gave",
                             "  sora models verify Wan-AI/Wan2.1-T2V-1.3B-Diffusers");
  cmd->add_option("model", verify->model, "As for --model")->type_name("MODEL")->required();
  add_models_dir(*cmd, verify->models_dir);
}

void add_convert_action(CLI::App& models, Command& chosen) {
  auto convert = std::make_shared<ConvertModel>();
  CLI::App* cmd = add_action(
      models, chosen, convert, "convert", "Write a model in another form or in fewer bits",
      "  sora models convert wan2.1_t2v_14B_fp16.safetensors wan14b-q4.gguf --type q4_k");
  cmd->add_option("input", convert->input, "Model, component or file")
      ->type_name("PATH")
      ->required();
  cmd->add_option("output", convert->output,
                  "A .safetensors or .gguf, or, of a single file, a new directory")
      ->type_name("PATH")
      ->required();
  cmd->add_option("--type", convert->type, "Type of the weights: f32, f16, bf16, q8_0 or q4_k")
      ->type_name("TYPE");
  cmd->add_flag("-f,--force", convert->force, "Overwrite the output if it exists");
  cmd->add_option("--tokenizer", convert->tokenizer,
                  "Tokenizer that goes with a text encoder: spiece.model, or its directory; found "
                  "beside it where not given")
      ->type_name("PATH");
}

void add_pull_action(CLI::App& models, Command& chosen) {
  auto pull = std::make_shared<PullModel>();
  CLI::App* cmd = add_action(
      models, chosen, pull, "pull", "Load a model from the Hugging Face hub into its cache",
      "  sora models pull Wan-AI/Wan2.1-T2V-1.3B-Diffusers\n"
      "  sora models pull city96/Wan2.1-T2V-14B-gguf/wan2.1-t2v-14b-Q4_K_M.gguf");
  cmd->add_option("model", pull->model, "org/name[@revision], or org/name/FILE")
      ->type_name("NAME")
      ->required();
  cmd->add_option("--include", pull->include,
                  "Only files of such names, as '*.safetensors'; may be given several times")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  cmd->add_option("--connections", pull->connections, "Files that are loaded at a time, 1 to 16")
      ->type_name("N")
      ->check(CLI::Range(1, 16).description(""))
      ->capture_default_str();
  cmd->add_flag("--offline", pull->offline, "Never use the network, as HF_HUB_OFFLINE=1");
}

}  // namespace

void add_models(CLI::App& app, Command& chosen) {
  CLI::App* models = app.add_subcommand("models", "List, show, verify, convert and pull models");
  models->footer(
      "Examples:\n"
      "  sora models list\n"
      "  sora models show nano --json\n"
      "  sora models pull Wan-AI/Wan2.1-T2V-1.3B-Diffusers");
  models->require_subcommand(1);
  add_list_action(*models, chosen);
  add_show_action(*models, chosen);
  add_verify_action(*models, chosen);
  add_convert_action(*models, chosen);
  add_pull_action(*models, chosen);
}

}  // namespace sora::cli
