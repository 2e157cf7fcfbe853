// sora models: which models there are, what each is, whether it is whole, other forms of it, and
// from where it comes.
#include "cli/commands/subcommands.h"
#include "cli/options.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

struct ModelsOptions {
  std::string action;
  std::vector<std::string> names;
  ModelFiles files;
  ConvertModel convert;
  PullModel pull;
  std::string size;
  int64_t num_frames = 0;
  Display display;
};

struct ActionRow {
  std::string_view name;
  size_t num_names;
  std::string_view usage;
};

constexpr ActionRow kActions[] = {{"list", 0, "sora models list"},
                                  {"show", 1, "sora models show MODEL"},
                                  {"verify", 1, "sora models verify MODEL"},
                                  {"convert", 2, "sora models convert INPUT OUTPUT"},
                                  {"pull", 1, "sora models pull ORG/NAME[/FILE]"}};

const ActionRow& find_action(const std::string& name) {
  for (const ActionRow& row : kActions) {
    if (row.name == name) return row;
  }
  fail(ErrorKind::Usage, "models {}: is none of list, show, verify, convert and pull",
       name.empty() ? "(nothing)" : name);
}

ModelTask task_of(const ModelsOptions& options) {
  const ActionRow& action = find_action(options.action);
  if (options.names.size() != action.num_names) {
    fail(ErrorKind::Usage, "models {} takes {} names, not {}; write {}", action.name,
         action.num_names, options.names.size(), action.usage);
  }
  if (action.name == "list") return ListModels{options.files.models_dir};
  if (action.name == "show")
    return ShowModel{options.names[0], options.files, options.size, options.num_frames};
  if (action.name == "verify") return VerifyModel{options.names[0], options.files.models_dir};
  if (action.name == "convert") {
    ConvertModel convert = options.convert;
    convert.input = options.names[0];
    convert.output = options.names[1];
    convert.tokenizer = options.files.tokenizer;
    return convert;
  }
  PullModel pull = options.pull;
  pull.model = options.names[0];
  return pull;
}

}  // namespace

void add_models(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ModelsOptions>();
  CLI::App* cmd = app.add_subcommand("models", "List, show, verify, convert and pull models");
  cmd->footer(
      "Examples:\n"
      "  sora models list --models-dir ~/ComfyUI/models\n"
      "  sora models show wan2.1_t2v_1.3B_bf16.safetensors --size 832x480 --frames 81\n"
      "  sora models show wan2.1_t2v_14B_bf16.safetensors --vace "
      "Wan2_1-VACE_module_14B_bf16.safetensors\n"
      "  sora models verify Wan-AI/Wan2.1-T2V-1.3B-Diffusers\n"
      "  sora models convert wan2.1_t2v_14B_fp16.safetensors wan14b-q4.gguf --type q4_k\n"
      "  sora models pull Wan-AI/Wan2.1-T2V-1.3B-Diffusers\n"
      "  sora models pull city96/Wan2.1-T2V-14B-gguf/wan2.1-t2v-14b-Q4_K_M.gguf");
  cmd->add_option("action", options->action, "list, show, verify, convert or pull")
      ->type_name("ACTION");
  cmd->add_option(
         "names", options->names,
         "The model; input and output of convert; org/name[@revision] or org/name/FILE of pull")
      ->type_name("NAME");
  add_model_file_options(*cmd, options->files);
  cmd->add_option("--size", options->size,
                  "Size of the clip whose memory show tells, such as 832x480")
      ->type_name("WxH");
  cmd->add_option("--frames", options->num_frames, "Its number of frames")->type_name("N");
  cmd->add_option("--type", options->convert.type,
                  "Type convert writes: f32, f16, bf16, q8_0 or q4_k")
      ->type_name("TYPE");
  cmd->add_flag("-f,--force", options->convert.force, "Let convert overwrite its output");
  cmd->add_option("--include", options->pull.include,
                  "Files that pull loads, such as '*.safetensors'; may be given several times")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  cmd->add_option("--connections", options->pull.connections, "Files that pull loads at a time")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_flag("--offline", options->pull.offline, "Never use the network, as HF_HUB_OFFLINE=1");
  add_display_options(*cmd, options->display);
  cmd->final_callback([options, &chosen] {
    chosen.action = UseModels{task_of(*options)};
    chosen.display = options->display;
  });
}

}  // namespace sora::cli
