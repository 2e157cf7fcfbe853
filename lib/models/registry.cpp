// One row a pipeline class of diffusers. Defaults are those of the nearest published family
// (families.h); a file sora.json beside model_index.json overrides them.
#include "lib/models/registry.h"

#include <algorithm>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/models/families.h"
#include "lib/models/tiny_vae_choice.h"
#include "lib/models/turbo.h"
#include "lib/models/wan/lora.h"
#include "lib/models/wan/parts.h"
#include "lib/tensor_io/model_directory.h"

namespace sora {
namespace {

constexpr const char* kOwnDefaults = "sora.json";
constexpr double kTrainTimesteps = 1000;

constexpr std::string_view kPipelines[] = {"WanPipeline", "WanImageToVideoPipeline",
                                           "WanVACEPipeline"};

void check_pipeline(const ModelDirectory& directory) {
  std::string known;
  for (const std::string_view name : kPipelines) {
    if (name == directory.pipeline_class()) return;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  fail(ErrorKind::Input, "{}: the pipeline class {} is unknown; this version runs {}",
       (directory.path() / "model_index.json").string(), directory.pipeline_class(), known);
}

// Whatever the transformer's width, what the nearest published family is run with.
ModelDefaults family_defaults(const Family& family) {
  ModelDefaults defaults;
  defaults.width = family.frame_width;
  defaults.height = family.frame_height;
  defaults.num_frames = family.num_frames;
  defaults.fps = Rational(family.fps);
  defaults.steps = family.steps;
  defaults.guidance_scale = family.guidance_scale;
  if (family.two_experts) defaults.guidance_scale_2 = family.guidance_scale_2;
  defaults.max_pixels = family.max_pixels;
  defaults.max_frames = family.num_frames;
  return defaults;
}

const Family& family_of(const ModelInfo& model) {
  const WanForm form = form_of(model.transformer, model.vae.z_dim,
                               model.known_frames == KnownFrames::TokenTimesteps);
  return nearest_family(form, model.has_two_experts(), model.transformer.inner_dim());
}

void apply_family(ModelInfo& model) {
  const Family& family = family_of(model);
  model.defaults = family_defaults(family);
  if (family.width != model.transformer.inner_dim()) return;
  model.family = family.name;
  model.defaults.negative_prompt = kPublishedNegativePrompt;
}

// The model's own word on how it wants to be run.
void read_own_defaults(const std::filesystem::path& path, ModelDefaults& defaults) {
  const ConfigReader config = ConfigReader::open(path);
  defaults.width = config.get<int64_t>("width", defaults.width);
  defaults.height = config.get<int64_t>("height", defaults.height);
  defaults.num_frames = config.get<int64_t>("num_frames", defaults.num_frames);
  if (const auto fps = config.get<int64_t>("fps", 0); fps > 0) defaults.fps = Rational(fps);
  defaults.steps = static_cast<int>(config.get<int64_t>("steps", defaults.steps));
  defaults.guidance_scale = config.get<double>("guidance_scale", defaults.guidance_scale);
  defaults.align_guidance = config.get<double>("align_guidance", defaults.align_guidance);
  defaults.negative_prompt = config.get<std::string>("negative_prompt", defaults.negative_prompt);
  defaults.max_sequence_length =
      config.get<int64_t>("max_sequence_length", defaults.max_sequence_length);
  defaults.max_pixels = config.get<int64_t>("max_pixels", defaults.max_pixels);
  defaults.max_frames = config.get<int64_t>("max_frames", defaults.max_frames);
  defaults.turbo = config.get<bool>("turbo", defaults.turbo);
  defaults.grey_without_frames =
      config.get<bool>("grey_without_frames", defaults.grey_without_frames);
  config.ignore({"flow_shift"});  // the scheduler's config has it
  if (const auto words = config.get_object("known_words")) {
    for (const auto& [language, list] : words->object().items()) {
      for (const std::string& word : words->get<std::vector<std::string>>(language))
        defaults.vocabulary.push_back(word);
    }
  }
  config.check_all_read();
}

KnownFrames known_frames_of(const WanTransformerConfig& transformer, const WanVaeConfig& vae,
                            bool expand_timesteps) {
  if (transformer.has_control()) return KnownFrames::ControlBranch;
  if (expand_timesteps) return KnownFrames::TokenTimesteps;
  if (transformer.in_channels == 2 * vae.z_dim + vae.scale_factor_temporal)
    return KnownFrames::MaskChannels;
  return KnownFrames::None;
}

// The config without diffusers' bookkeeping, whose names begin with an underscore.
nlohmann::json mathematics_of(const std::filesystem::path& component) {
  nlohmann::json config = ConfigReader::open(component / "config.json").object();
  for (auto field = config.begin(); field != config.end();) {
    field = field.key().rfind('_', 0) == 0 ? config.erase(field) : std::next(field);
  }
  return config;
}

void check_channels(const ModelInfo& model) {
  const int64_t z = model.vae.z_dim;
  const int64_t in = model.transformer.in_channels;
  const int64_t masked = 2 * z + model.vae.scale_factor_temporal;
  if (in != z && in != masked) {
    fail(ErrorKind::Input,
         "{}: in_channels is {}, but with this VAE's z_dim of {} it has to be {} or, with mask, {}",
         model.parts.transformer.string(), in, z, z, masked);
  }
  if (model.transformer.out_channels != z) {
    fail(ErrorKind::Input, "{}: out_channels is {}, but this VAE's z_dim is {}",
         model.parts.transformer.string(), model.transformer.out_channels, z);
  }
  if (!model.transformer.has_control()) return;
  const int64_t scale = model.vae.scale_factor_spatial;
  const int64_t control = 2 * z + scale * scale;
  if (model.transformer.vace_in_channels != control) {
    fail(ErrorKind::Input, "{}: vace_in_channels is {}, but with this VAE it has to be {}",
         model.parts.transformer.string(), model.transformer.vace_in_channels, control);
  }
  if (in != z) {
    fail(ErrorKind::Input,
         "{}: in_channels is {}, but beside a control branch it has to be the VAE's z_dim of {}",
         model.parts.transformer.string(), in, z);
  }
}

void check_experts_of_loras(const ModelInfo& model) {
  for (const LoraChoice& lora : model.loras) {
    if (lora.expert.empty() || model.has_two_experts()) continue;
    fail(ErrorKind::Usage,
         "--lora {}: \":{}\" needs a model of two experts, such as Wan 2.2 A14B; {} has one "
         "(see sora models show)",
         lora.path, lora.expert, model.name);
  }
}

// Before anything is computed: what does not fit fails now, and how much fits is told.
void check_loras(ModelInfo& model) {
  if (model.loras.empty()) return;
  for (const bool low_noise : {false, true}) {
    if (low_noise && !model.has_two_experts()) break;
    const auto weights = open_transformer(model.parts.expert(low_noise));
    const WanLoras loras =
        read_wan_loras(model.loras, low_noise, model.has_two_experts(), *weights);
    const char* expert = !model.has_two_experts() ? "" : low_noise ? "low noise, " : "high noise, ";
    for (const std::string& line : loras.report) model.notices.push_back(expert + line);
  }
}

// Parts of a directory that the user replaced by others.
void replace_parts(const ModelFiles& files, ModelPaths& parts) {
  const auto replace = [](const std::string& wanted, const char* option,
                          std::filesystem::path& part) {
    if (wanted.empty()) return;
    if (!std::filesystem::exists(wanted))
      fail(ErrorKind::NotFound, "{} {}: there is no such file", option, wanted);
    part = wanted;
  };
  replace(files.vae, "--vae", parts.vae);
  replace(files.text_encoder, "--text-encoder", parts.text_encoder);
  replace(files.tokenizer, "--tokenizer", parts.tokenizer);
  replace(files.image_encoder, "--image-encoder", parts.image_encoder);
}

// Modules of two experts are for transformers of one config, and have one themselves.
void check_second_control(const ModelInfo& model) {
  if (model.parts.control_2.empty()) return;
  const WanTransformerConfig second = read_transformer_config(model.parts.expert(true));
  if (second.vace_layers != model.transformer.vace_layers ||
      second.vace_in_channels != model.transformer.vace_in_channels) {
    fail(ErrorKind::Input,
         "{}: its control blocks differ from those of {}; two experts have the same",
         model.parts.control_2.string(), model.parts.control.string());
  }
}

void read_part_configs(ModelInfo& model) {
  model.transformer = read_transformer_config(model.parts.expert(false));
  check_second_control(model);
  model.vae = WanVaeConfig::from_config(read_config(WanPart::Vae, model.parts.vae));
  model.wants_image_embeds = model.transformer.image_dim.has_value();
}

ModelInfo read_directory(const std::string& name, const std::filesystem::path& path,
                         const ModelFiles& files) {
  if (!files.transformer_2.empty()) {
    fail(ErrorKind::Usage,
         "--low-noise goes with a transformer in a single file; {} is a directory, which holds its "
         "experts itself",
         path.string());
  }
  const ModelDirectory directory = ModelDirectory::open(path);
  check_pipeline(directory);
  ModelInfo model;
  model.name = name;
  model.path = path;

  const std::initializer_list<std::string_view> transformers = {"WanTransformer3DModel",
                                                                "WanVACETransformer3DModel"};
  model.parts.transformer = directory.get("transformer", transformers).directory;
  model.parts.vae = directory.get("vae", {"AutoencoderKLWan"}).directory;
  model.parts.text_encoder = directory.get("text_encoder", {"UMT5EncoderModel"}).directory;
  model.parts.tokenizer = directory.get("tokenizer", {"T5Tokenizer", "T5TokenizerFast"}).directory;
  const ModelComponent scheduler =
      directory.get("scheduler", {"UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler",
                                  "DPMSolverMultistepScheduler"});
  const std::string scheduler_path = (scheduler.directory / "scheduler_config.json").string();
  model.scheduler = read_json_file(scheduler_path);

  const auto boundary_ratio = directory.settings().get_optional<double>("boundary_ratio");
  const auto transformer_2 = directory.find("transformer_2", transformers);
  if (boundary_ratio.has_value() != transformer_2.has_value()) {
    fail(ErrorKind::Input,
         "{}: boundary_ratio and transformer_2 belong together; this model has only one of them",
         (path / "model_index.json").string());
  }
  if (transformer_2) {
    model.parts.transformer_2 = transformer_2->directory;
    if (mathematics_of(transformer_2->directory) != mathematics_of(model.parts.transformer)) {
      fail(ErrorKind::Input, "{}: the two experts' configs differ; they have to be the same",
           (transformer_2->directory / "config.json").string());
    }
    const ConfigReader config(model.scheduler, scheduler_path);
    model.boundary_timestep =
        *boundary_ratio * static_cast<double>(config.get<int64_t>("num_train_timesteps", 1000));
  }
  const bool expand_timesteps = directory.settings().get<bool>("expand_timesteps", false);
  directory.ignore({"feature_extractor", "image_processor"});
  if (const auto encoder =
          directory.find("image_encoder", {"CLIPVisionModel", "CLIPVisionModelWithProjection"})) {
    model.parts.image_encoder = encoder->directory;
    model.parts.image_processor = path / "image_processor" / "preprocessor_config.json";
  }
  directory.check_all_used();
  replace_parts(files, model.parts);
  find_control(files, model.path, model.parts, model.notices);

  read_part_configs(model);
  if (model.wants_image_embeds && model.parts.image_encoder.empty()) {
    fail(ErrorKind::Input, "{}: has no component \"image_encoder\", which its transformer needs",
         (path / "model_index.json").string());
  }
  model.known_frames = known_frames_of(model.transformer, model.vae, expand_timesteps);
  apply_family(model);
  const std::filesystem::path own = path / kOwnDefaults;
  if (std::filesystem::exists(own)) read_own_defaults(own, model.defaults);
  return model;
}

// Everything that a directory's configs would say comes from the family.
ModelInfo read_single_file(const std::string& name, const std::filesystem::path& path,
                           const ModelFiles& files) {
  ModelInfo model;
  model.name = name;
  model.path = path;
  model.parts = find_companions(path, files, model.notices);
  read_part_configs(model);
  // Of all published models only TI2V-5B takes 48 channels and nothing else.
  const bool expand_timesteps =
      model.vae.is_residual && model.transformer.in_channels == model.vae.z_dim;
  model.known_frames = known_frames_of(model.transformer, model.vae, expand_timesteps);
  if (!model.parts.transformer_2.empty()) {
    const nlohmann::json first =
        read_config(WanPart::Transformer, model.parts.transformer).object();
    if (read_config(WanPart::Transformer, model.parts.transformer_2).object() != first) {
      fail(ErrorKind::Input, "{}: its shapes differ from those of {}; two experts have the same",
           model.parts.transformer_2.string(), model.parts.transformer.string());
    }
    model.boundary_timestep = 0.0;  // the family's, as soon as it is known
  }
  const Family& family = family_of(model);
  if (model.boundary_timestep) model.boundary_timestep = family.boundary_ratio * kTrainTimesteps;
  apply_family(model);
  model.scheduler = {{"_class_name", "UniPCMultistepScheduler"},
                     {"prediction_type", "flow_prediction"},
                     {"use_flow_sigmas", true},
                     {"num_train_timesteps", static_cast<int64_t>(kTrainTimesteps)},
                     {"flow_shift", family.shift}};
  return model;
}

}  // namespace

ModelInfo read_model_info(const std::string& name, const std::filesystem::path& path,
                          const ModelFiles& files) {
  const bool is_directory = std::filesystem::is_directory(path);
  const bool is_component = is_directory && !std::filesystem::exists(path / "model_index.json") &&
                            std::filesystem::exists(path / "config.json");
  // Wan's own repositories of two experts
  const std::filesystem::path expert = path / "high_noise_model";
  const bool is_of_experts = is_directory && !is_component && std::filesystem::is_directory(expert);
  ModelInfo model = is_of_experts                   ? read_single_file(name, expert, files)
                    : is_directory && !is_component ? read_directory(name, path, files)
                                                    : read_single_file(name, path, files);
  check_channels(model);
  model.loras = files.loras;
  check_experts_of_loras(model);
  if (files.turbo.value_or(false)) apply_turbo(files, model);
  choose_tiny_vae(files, model);
  check_loras(model);
  return model;
}

bool prefers_turbo(const std::filesystem::path& path) {
  const std::filesystem::path own = path / kOwnDefaults;
  if (!std::filesystem::exists(own)) return false;
  ModelDefaults defaults;
  read_own_defaults(own, defaults);
  return defaults.turbo && has_own_distillation(path);
}

}  // namespace sora
