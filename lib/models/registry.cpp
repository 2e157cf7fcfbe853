// One row a pipeline class of diffusers. Defaults are those of the published checkpoints (Wan 2.1 and 2.2 model cards),
// told apart by what their configs say; a file sora.json beside model_index.json overrides them.
#include "lib/models/registry.h"

#include <algorithm>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/tensor_io/hub_cache.h"
#include "lib/tensor_io/model_directory.h"

namespace sora {
namespace {

constexpr const char* kOwnDefaults = "sora.json";
constexpr int64_t kPixels480p = 832 * 480;
constexpr int64_t kPixels720p = 1280 * 720;
constexpr int64_t kWidthOf1_3B = 1536;

struct PipelineRow {
  std::string_view class_name;
  bool from_image;
};

constexpr PipelineRow kPipelines[] = {
    {"WanPipeline", false},
    {"WanImageToVideoPipeline", true},
};

const PipelineRow& find_pipeline(const ModelDirectory& directory) {
  std::string known;
  for (const PipelineRow& row : kPipelines) {
    if (row.class_name == directory.pipeline_class()) return row;
    known += (known.empty() ? "" : ", ") + std::string(row.class_name);
  }
  fail(ErrorKind::Input, "{}: the pipeline class {} is unknown; this version runs {}",
       (directory.path() / "model_index.json").string(), directory.pipeline_class(), known);
}

int64_t width_of(const WanTransformerConfig& config) { return config.num_attention_heads * config.attention_head_dim; }

ModelDefaults published_defaults(const ModelInfo& model, bool from_image) {
  ModelDefaults defaults;
  if (model.known_frames == KnownFrames::TokenTimesteps) {  // Wan 2.2 TI2V-5B
    defaults.width = 1280;
    defaults.height = 704;
    defaults.num_frames = 121;
    defaults.fps = Rational(24);
    defaults.max_pixels = kPixels720p;
    defaults.max_frames = 121;
  } else if (model.has_two_experts()) {  // Wan 2.2 A14B
    defaults.steps = 40;
    defaults.guidance_scale = from_image ? 3.5 : 4.0;
    defaults.guidance_scale_2 = from_image ? 3.5 : 3.0;
    defaults.max_pixels = kPixels720p;
  } else {  // Wan 2.1
    defaults.steps = from_image ? 40 : 50;
    defaults.max_pixels = width_of(model.transformer) <= kWidthOf1_3B ? kPixels480p : kPixels720p;
  }
  return defaults;
}

// The model's own word on how it wants to be run.
void read_own_defaults(const std::filesystem::path& path, ModelDefaults& defaults) {
  const ConfigReader config = ConfigReader::open(path);
  defaults.width = config.get<int64_t>("width", defaults.width);
  defaults.height = config.get<int64_t>("height", defaults.height);
  defaults.num_frames = config.get<int64_t>("num_frames", defaults.num_frames);
  defaults.fps = Rational(config.get<int64_t>("fps", 16));
  defaults.steps = static_cast<int>(config.get<int64_t>("steps", defaults.steps));
  defaults.guidance_scale = config.get<double>("guidance_scale", defaults.guidance_scale);
  defaults.negative_prompt = config.get<std::string>("negative_prompt", defaults.negative_prompt);
  defaults.max_sequence_length = config.get<int64_t>("max_sequence_length", defaults.max_sequence_length);
  defaults.max_pixels = config.get<int64_t>("max_pixels", defaults.max_pixels);
  defaults.max_frames = config.get<int64_t>("max_frames", defaults.max_frames);
  config.ignore({"flow_shift"});  // the scheduler's config has it
  if (const auto words = config.get_object("known_words")) {
    for (const auto& [language, list] : words->object().items()) {
      for (const std::string& word : words->get<std::vector<std::string>>(language)) defaults.vocabulary.push_back(word);
    }
  }
  config.check_all_read();
}

KnownFrames known_frames_of(const WanTransformerConfig& transformer, const WanVaeConfig& vae, bool expand_timesteps) {
  if (expand_timesteps) return KnownFrames::TokenTimesteps;
  if (transformer.in_channels == 2 * vae.z_dim + vae.scale_factor_temporal) return KnownFrames::MaskChannels;
  return KnownFrames::None;
}

// The config without diffusers' bookkeeping, whose names begin with an underscore.
nlohmann::json mathematics_of(const std::filesystem::path& component) {
  nlohmann::json config = read_json_file(component / "config.json");
  for (auto field = config.begin(); field != config.end();) {
    field = field.key().rfind('_', 0) == 0 ? config.erase(field) : std::next(field);
  }
  return config;
}

void check_channels(const ModelInfo& model, const std::filesystem::path& directory) {
  const int64_t z = model.vae.z_dim;
  const int64_t in = model.transformer.in_channels;
  const int64_t masked = 2 * z + model.vae.scale_factor_temporal;
  if (in != z && in != masked) {
    fail(ErrorKind::Input, "{}: in_channels is {}, but with this VAE's z_dim of {} it has to be {} or, with mask, {}",
         (directory / "transformer" / "config.json").string(), in, z, z, masked);
  }
  if (model.transformer.out_channels != z) {
    fail(ErrorKind::Input, "{}: out_channels is {}, but this VAE's z_dim is {}",
         (directory / "transformer" / "config.json").string(), model.transformer.out_channels, z);
  }
}

}  // namespace

std::filesystem::path find_model(const std::string& name, const std::filesystem::path& built_in) {
  const std::filesystem::path as_path(name);
  if (name.find('/') == std::string::npos && std::filesystem::exists(built_in / name / "model_index.json")) {
    return built_in / name;
  }
  if (std::filesystem::exists(as_path)) return as_path;
  if (const auto hub_name = parse_hub_name(name)) return find_in_hub_cache(*hub_name);
  fail(ErrorKind::NotFound, "there is no model '{}': neither built in (looked in {}) nor a directory; see sora generate --help",
       name, built_in.string());
}

ModelInfo read_model_info(const std::string& name, const std::filesystem::path& path) {
  const ModelDirectory directory = ModelDirectory::open(path);
  const PipelineRow& pipeline = find_pipeline(directory);
  ModelInfo model;
  model.name = name;
  model.directory = path;

  const ModelComponent transformer = directory.get("transformer", {"WanTransformer3DModel"});
  model.transformer = WanTransformerConfig::from_config(ConfigReader::open(transformer.directory / "config.json"));
  model.vae = WanVaeConfig::from_config(
      ConfigReader::open(directory.get("vae", {"AutoencoderKLWan"}).directory / "config.json"));
  const ModelComponent scheduler =
      directory.get("scheduler", {"UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler", "DPMSolverMultistepScheduler"});
  model.scheduler = read_json_file(scheduler.directory / "scheduler_config.json");
  directory.get("text_encoder", {"UMT5EncoderModel"});
  directory.get("tokenizer", {"T5Tokenizer", "T5TokenizerFast"});

  const auto boundary_ratio = directory.settings().get_optional<double>("boundary_ratio");
  const auto transformer_2 = directory.find("transformer_2", {"WanTransformer3DModel"});
  if (boundary_ratio.has_value() != transformer_2.has_value()) {
    fail(ErrorKind::Input, "{}: boundary_ratio and transformer_2 belong together; this model has only one of them",
         (path / "model_index.json").string());
  }
  if (transformer_2 && mathematics_of(transformer_2->directory) != mathematics_of(transformer.directory)) {
    fail(ErrorKind::Input, "{}: the two experts' configs differ; they have to be the same",
         (transformer_2->directory / "config.json").string());
  }
  if (boundary_ratio) {
    const ConfigReader config(model.scheduler, (scheduler.directory / "scheduler_config.json").string());
    model.boundary_timestep = *boundary_ratio * static_cast<double>(config.get<int64_t>("num_train_timesteps", 1000));
  }
  const bool expand_timesteps = directory.settings().get<bool>("expand_timesteps", false);
  directory.ignore({"feature_extractor", "image_processor"});
  model.wants_image_embeds = model.transformer.image_dim.has_value();
  if (model.wants_image_embeds) directory.get("image_encoder", {"CLIPVisionModel", "CLIPVisionModelWithProjection"});
  directory.ignore({"image_encoder"});
  directory.check_all_used();

  model.known_frames = known_frames_of(model.transformer, model.vae, expand_timesteps);
  check_channels(model, path);
  model.defaults = published_defaults(model, pipeline.from_image);
  const std::filesystem::path own = path / kOwnDefaults;
  if (std::filesystem::exists(own)) read_own_defaults(own, model.defaults);
  return model;
}

}  // namespace sora
