#include "lib/models/inventory.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/models/comfy_folders.h"
#include "lib/models/families.h"
#include "lib/models/named_parts.h"
#include "lib/models/registry.h"
#include "lib/models/wan/parts.h"
#include "lib/tensor_io/checkpoint.h"
#include "lib/tensor_io/dtype.h"
#include "lib/tensor_io/hub_cache.h"
#include "lib/tensor_io/model_part.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// "BF16" to number of values, packed formats by their own names.
json values_by_type(const Checkpoint& checkpoint) {
  std::map<std::string, int64_t> counts;
  for (const std::string& name : checkpoint.names()) {
    const TensorInfo& info = checkpoint.info(name);
    counts[std::string(info.blocks ? info.blocks->name : dtype_name(info.dtype))] +=
        info.num_values();
  }
  return counts;
}

json describe_part(const fs::path& path) {
  const Checkpoint checkpoint = Checkpoint::open(path);
  int64_t parameters = 0;
  for (const std::string& name : checkpoint.names())
    parameters += checkpoint.info(name).num_values();
  return {{"path", path.string()},
          {"parameters", parameters},
          {"bytes", checkpoint.num_bytes()},
          {"values_by_type", values_by_type(checkpoint)}};
}

// "license: apache-2.0" at the head of a model card.
std::string licence_of(const fs::path& model) {
  constexpr std::string_view kField = "license:";
  const fs::path card = (fs::is_directory(model) ? model : model.parent_path()) / "README.md";
  std::error_code error;
  if (!fs::is_regular_file(card, error)) return "";
  const std::string text = read_file(card, 4 << 20);
  if (!text.starts_with("---")) return "";
  const std::string_view head = std::string_view(text).substr(0, text.find("\n---", 3));
  const size_t at = head.find(std::string("\n").append(kField));
  if (at == head.npos) return "";
  std::string_view value = head.substr(at + 1 + kField.size());
  value = value.substr(0, value.find('\n'));
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return std::string(value);
}

std::string title_of(const ModelInfo& model) {
  const Family* family = find_family(model.family);
  return family ? std::string(family->title) : "";
}

// How well the tools that leave frames as they are work on the model (docs/tools.md).
std::string tools_of(KnownFrames known_frames) {
  const std::string tools = "extend, recut, blend, loop: ";
  switch (known_frames) {
    case KnownFrames::ControlBranch:
      return tools + "known frames anywhere, as it was trained";
    case KnownFrames::MaskChannels:
      return tools + "known frames by mask";
    case KnownFrames::TokenTimesteps:
      return tools + "whole latent frames; trained for the first";
    case KnownFrames::None:
      break;
  }
  return tools + "held to known frames, untrained";
}

json operations_of(const ModelInfo& model) {
  json operations = {"text to video"};
  if (model.wants_image_embeds && model.transformer.pos_embed_seq_len)
    return {"first and last image to video"};
  if (model.wants_image_embeds) return {"image to video"};
  if (model.known_frames == KnownFrames::MaskChannels)
    operations.insert(operations.end(), {"image to video", "first and last image to video"});
  if (model.known_frames == KnownFrames::TokenTimesteps) operations.push_back("image to video");
  if (model.known_frames == KnownFrames::ControlBranch) {
    operations.insert(operations.end(), {"image to video", "first and last image to video",
                                         "reference pictures", "control video"});
  }
  operations.insert(operations.end(), {"remix", tools_of(model.known_frames)});
  return operations;
}

// What names the model on the command line, and what it is; null where it cannot be read as a
// model.
json entry(const std::string& name, const char* kind, const fs::path& path) {
  try {
    const ModelInfo model = read_model_info(name, path);
    int64_t bytes = 0;
    for (const fs::path& part : {model.parts.transformer, model.parts.transformer_2,
                                 model.parts.vae, model.parts.text_encoder}) {
      if (!part.empty()) bytes += stored_bytes(part);
    }
    return {{"name", name},
            {"kind", kind},
            {"path", path.string()},
            {"family", model.family},
            {"bytes", bytes}};
  } catch (const Error&) {
    return nullptr;
  }
}

// For --vace; null where the file is none.
json module_entry(const std::string& name, const fs::path& path, const Checkpoint& checkpoint) {
  if (!find_part(checkpoint, kWanControlPart)) return nullptr;
  return {{"name", name},
          {"kind", "VACE module"},
          {"path", path.string()},
          {"family", ""},
          {"bytes", checkpoint.num_bytes()}};
}

// A transformer's file alone; its companions may be missing.
json file_entry(const std::string& name, const fs::path& path) {
  try {
    const Checkpoint checkpoint = Checkpoint::open(path);
    if (!find_part(checkpoint, kWanTransformerPart)) return module_entry(name, path, checkpoint);
    const auto wan = WanTransformerConfig::from_config(read_config(WanPart::Transformer, path));
    const WanForm form = form_of(wan, wan.out_channels, wan.in_channels == 48);
    const Family& family = nearest_family(form, form == WanForm::Mask, wan.inner_dim());
    return {{"name", name},
            {"kind", "file"},
            {"path", path.string()},
            {"family", family.width == wan.inner_dim() ? family.name : ""},
            {"bytes", checkpoint.num_bytes()}};
  } catch (const Error&) {
    return nullptr;
  }
}

void add(json& list, json object) {
  if (!object.is_null()) list.push_back(std::move(object));
}

std::vector<fs::path> subdirectories(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& each : fs::directory_iterator(folder, error)) {
    if (each.is_directory(error)) found.push_back(each.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

int64_t stored_bytes(const fs::path& part) { return Checkpoint::open(part).num_bytes(); }

json list_models(const fs::path& built_in, const std::string& models_dir) {
  json list = json::array();
  for (const fs::path& folder : subdirectories(built_in))
    add(list, entry(folder.filename().string(), "built in", folder));
  constexpr std::string_view kPrefix = "models--";
  for (const fs::path& folder : subdirectories(hub_cache_directory())) {
    std::string name = folder.filename().string();
    if (!name.starts_with(kPrefix)) continue;
    name.erase(0, kPrefix.size());
    const size_t dashes = name.find("--");
    if (dashes == std::string::npos) continue;
    name.replace(dashes, 2, "/");
    const auto hub = parse_hub_name(name);
    if (!hub) continue;
    try {
      add(list, entry(name, "hub cache", find_in_hub_cache(*hub)));
    } catch (const Error&) {
      // Begun, and not whole.
    }
  }
  if (models_dir.empty()) return list;
  for (const fs::path& file : transformer_files(models_dir))
    add(list, file_entry(file.stem().string(), file));
  for (const fs::path& folder : subdirectories(models_dir)) {
    if (fs::exists(folder / "model_index.json"))
      add(list, entry(folder.filename().string(), "directory", folder));
  }
  return list;
}

json describe_file(const std::string& name, const fs::path& file) {
  json described = file_entry(name, file);
  if (described.is_object()) described["parts"]["transformer"] = describe_part(file);
  return described;
}

json describe_model(const ModelInfo& model) {
  json parts = json::object();
  for (const auto& [name, path] : named_parts(model.parts)) {
    if (name != "tokenizer" && name != "tiny_vae") parts[std::string(name)] = describe_part(path);
  }
  json object = {
      {"name", model.name},
      {"path", model.path.string()},
      {"family", model.family},
      {"title", title_of(model)},
      {"operations", operations_of(model)},
      {"width", model.transformer.inner_dim()},
      {"layers", model.transformer.num_layers},
      {"size", fmt::format("{}x{}", model.defaults.width, model.defaults.height)},
      {"frames", model.defaults.num_frames},
      {"fps", to_string(model.defaults.fps)},
      {"steps", model.defaults.steps},
      {"guidance", model.defaults.guidance_scale},
      {"parts", parts},
  };
  if (model.boundary_timestep) object["boundary_timestep"] = *model.boundary_timestep;
  for (const char* field : {"flow_shift", "shift"}) {
    if (model.scheduler.contains(field)) object["shift"] = model.scheduler[field];
  }
  const std::string licence = licence_of(model.path);
  if (!licence.empty()) object["licence"] = licence;
  if (!model.notices.empty()) object["notices"] = model.notices;
  return object;
}

}  // namespace sora
