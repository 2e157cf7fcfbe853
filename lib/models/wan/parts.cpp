#include "lib/models/wan/parts.h"

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/models/wan/names.h"
#include "lib/models/wan/shapes.h"

namespace sora {
namespace {

constexpr const char* kConfigEntry = "config";

struct PartRow {
  Checkpoint (*with_names)(const Checkpoint&);
  nlohmann::json (*config_from_shapes)(const Checkpoint&);
};

const PartRow& row_of(WanPart part) {
  static constexpr PartRow kRows[] = {
      {with_transformer_names, transformer_config_from_shapes},
      {with_vae_names, vae_config_from_shapes},
      {with_image_encoder_names, image_encoder_config_from_shapes},
  };
  return kRows[static_cast<size_t>(part)];
}

// The classes that Wan's own repositories name in config.json; their weights have the names of
// Wan's code, and shapes tell what the config would.
bool is_wans_own(const std::filesystem::path& directory) {
  const std::string name =
      ConfigReader::open(directory / "config.json").get<std::string>("_class_name", "");
  return name == "WanModel" || name == "VaceWanModel";
}

bool has_diffusers_names(const std::filesystem::path& path) {
  return std::filesystem::is_directory(path) && !is_wans_own(path);
}

// What a file says of itself in its metadata, if it does.
std::optional<ConfigReader> own_config(const Checkpoint& checkpoint) {
  const auto found = checkpoint.metadata().find(kConfigEntry);
  if (found == checkpoint.metadata().end()) return std::nullopt;
  const std::string description = checkpoint.description() + ": config in its metadata";
  return ConfigReader(parse_json(found->second, description), description);
}

}  // namespace

ConfigReader read_config(WanPart part, const std::filesystem::path& path) {
  if (has_diffusers_names(path)) return ConfigReader::open(path / "config.json");
  const Checkpoint checkpoint = row_of(part).with_names(Checkpoint::open(path));
  if (const auto own = own_config(checkpoint)) return *own;
  return {row_of(part).config_from_shapes(checkpoint), path.string()};
}

std::shared_ptr<const Checkpoint> open_weights(WanPart part, const std::filesystem::path& path) {
  Checkpoint checkpoint = Checkpoint::open(path);
  if (has_diffusers_names(path)) return std::make_shared<Checkpoint>(std::move(checkpoint));
  return std::make_shared<Checkpoint>(row_of(part).with_names(checkpoint));
}

ControlPart open_control(const std::filesystem::path& path) {
  Checkpoint control = with_control_names(Checkpoint::open(path));
  const auto own = own_config(control);
  nlohmann::json config = own ? own->object() : nlohmann::json();
  return {std::move(control), std::move(config)};
}

WanTransformerConfig read_transformer_config(const TransformerFiles& files) {
  const ConfigReader config = read_config(WanPart::Transformer, files.transformer);
  WanTransformerConfig wan = WanTransformerConfig::from_config(config);
  if (files.control.empty()) return wan;
  if (wan.has_control()) {
    fail(ErrorKind::Usage,
         "--vace {}: {} has a control branch of its own; --vace is for one without",
         files.control.string(), files.transformer.string());
  }
  const ControlPart control = open_control(files.control);
  std::vector<int64_t> layers;
  if (!control.config.is_null()) {
    layers = WanTransformerConfig::from_config(ConfigReader(control.config, files.control.string()))
                 .vace_layers;
  }
  add_control_branch(control.weights, layers, wan);
  return wan;
}

std::shared_ptr<const Checkpoint> open_transformer(const TransformerFiles& files) {
  auto transformer = open_weights(WanPart::Transformer, files.transformer);
  if (files.control.empty()) return transformer;
  return std::make_shared<Checkpoint>(transformer->with(open_control(files.control).weights));
}

}  // namespace sora
