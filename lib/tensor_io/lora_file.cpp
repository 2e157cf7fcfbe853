// A weight [N, K] is changed by weight * (alpha / R) * up [N, R] down [R, K]; alpha is the module's
// own tensor, or what the metadata say, or R.
#include "lib/tensor_io/lora_file.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "lib/core/error.h"
#include "lib/core/json_file.h"

namespace sora {
namespace {

constexpr size_t kMaxNamed = 3;
constexpr const char* kPatches = "patch_embedding";

struct Pair {
  LoraName name;
  std::string down, up, alpha, bias;  // names in the file
};

// Packed values are expanded.
at::Tensor values_of(const Checkpoint& file, const std::string& name) {
  const auto packed = file.packed(name);
  return packed ? packed->all(at::kFloat).reshape(file.info(name).shape) : file.get(name);
}

// The config of PEFT that diffusers' save_lora_weights puts into the file's metadata: field names
// have the prefix of the part, those of a single model's own file none.
class AdapterConfig {
 public:
  explicit AdapterConfig(const Checkpoint& file) {
    const auto found = file.metadata().find(kEntry);
    if (found == file.metadata().end()) return;
    description_ = file.description() + ": " + kEntry + " in its metadata";
    fields_ = parse_json(found->second, description_);
    if (!fields_.is_object()) fail(ErrorKind::Input, "{} is no JSON object", description_);
  }

  // What a module's product is multiplied by; nothing: the file does not say.
  std::optional<double> scale(const LoraName& module, double rank) const {
    const std::string part = module.low_noise ? "transformer_2." : "transformer.";
    const std::string prefix = fields_.contains(part + "lora_alpha") ? part : "";
    if (!fields_.contains(prefix + "lora_alpha")) return std::nullopt;
    const auto is_set = [&](const char* name) {
      const auto field = fields_.find(prefix + name);
      return field != fields_.end() && field->is_boolean() && field->get<bool>();
    };
    if (is_set("use_dora"))
      fail(ErrorKind::Input, "{}: DoRA is not supported; LoRA is", description_);
    double alpha = number(prefix + "lora_alpha", fields_.at(prefix + "lora_alpha"));
    const auto pattern = fields_.find(prefix + "alpha_pattern");
    if (pattern != fields_.end() && pattern->is_object()) {
      for (const auto& [name, value] : pattern->items()) {
        if (module.module == name || module.module.ends_with("." + name))
          alpha = number(prefix + "alpha_pattern", value);
      }
    }
    return is_set("use_rslora") ? alpha / std::sqrt(rank) : alpha / rank;
  }

 private:
  double number(const std::string& name, const nlohmann::json& value) const {
    if (!value.is_number()) fail(ErrorKind::Input, "{}: {} is no number", description_, name);
    return value.get<double>();
  }

  static constexpr const char* kEntry = "lora_adapter_metadata";
  nlohmann::json fields_ = nlohmann::json::object();
  std::string description_;
};

double alpha_of(const Checkpoint& file, const std::string& name) {
  const at::Tensor value = file.get(name);
  if (value.numel() != 1)
    fail(ErrorKind::Input, "{}: {} has {} numbers, expected one", file.description(), name,
         value.numel());
  return value.to(at::kDouble).item<double>();
}

// A convolution's adapter is that of a linear map over patches.
at::Tensor as_matrix(const at::Tensor& tensor) {
  return tensor.dim() > 2 ? tensor.flatten(1) : tensor;
}

// Whether the file was made for a model whose input has other channels: for text to video, say,
// where this one also takes a mask and a picture. The rest of it fits both.
bool takes_other_inputs(const Checkpoint& file, const std::vector<std::string>& names,
                        const Checkpoint& model, const FindModule& find_module) {
  const std::string weight = std::string(kPatches) + ".weight";
  if (!model.has(weight)) return false;
  const std::vector<int64_t>& wanted = model.info(weight).shape;
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    const LoraName parsed = parse_lora_name(name, file.description());
    const bool has_inputs =
        parsed.role == LoraRole::Down || parsed.role == LoraRole::WeightDifference;
    if (!has_inputs || parsed.module.empty() || find_module(parsed) != kPatches) return false;
    const std::vector<int64_t>& shape = file.info(name).shape;
    return shape.size() == wanted.size() && shape.size() > 2 && shape[1] != wanted[1] &&
           std::equal(shape.begin() + 2, shape.end(), wanted.begin() + 2);
  });
}

}  // namespace

LoraMatch read_lora(const std::filesystem::path& path, double weight, bool low_noise,
                    const Checkpoint& model, const FindModule& find_module,
                    TensorChanges& changes) {
  const Checkpoint file = Checkpoint::open(path);
  const AdapterConfig config(file);
  LoraMatch match;
  std::map<std::string, Pair> pairs;  // by the module in the model
  const auto unmatched = [&](const std::string& name) {
    ++match.num_unmatched;
    if (match.unmatched.size() < kMaxNamed) match.unmatched.push_back(name);
  };
  const auto add_difference = [&](const std::string& name, const std::string& target, double by) {
    const at::Tensor values = values_of(file, name);
    const TensorInfo& info = model.info(target);
    if (values.numel() != info.num_values()) {
      fail(ErrorKind::Input, "{}: {} has shape [{}], but {} of the model has [{}]",
           file.description(), name, fmt::join(values.sizes().vec(), ", "), target,
           fmt::join(info.shape, ", "));
    }
    changes[target].differences.push_back({values.reshape(info.shape), by});
  };
  const std::vector<std::string> names = file.names();
  const bool tells_experts_apart = std::any_of(
      names.begin(), names.end(),
      [&](const std::string& name) { return parse_lora_name(name, file.description()).low_noise; });
  const std::string left_out = takes_other_inputs(file, names, model, find_module) ? kPatches : "";
  for (const std::string& name : names) {
    const LoraName parsed = parse_lora_name(name, file.description());
    if (tells_experts_apart && parsed.low_noise != low_noise && !parsed.module.empty()) {
      ++match.num_of_other_expert;
      continue;
    }
    const std::string module = parsed.module.empty() ? "" : find_module(parsed);
    const bool is_weight = parsed.role != LoraRole::BiasDifference &&
                           parsed.role != LoraRole::UpBias &&
                           parsed.role != LoraRole::ModulationDifference;
    std::string target = module + (is_weight ? ".weight" : ".bias");
    if (parsed.role == LoraRole::ModulationDifference) {
      LoraName table = parsed;
      table.module += ".modulation";  // what the authors call the table of a block or of the head
      target = find_module(table);
    }
    if (module == left_out) {
      unmatched(name);
      continue;
    }
    if (module.empty() || !model.has(target)) {
      // A table of its own (modulation) carries no ".weight".
      if (!module.empty() && parsed.role == LoraRole::WeightDifference && model.has(module)) {
        target = module;
      } else {
        unmatched(name);
        continue;
      }
    }
    Pair& pair = pairs[module];
    if (parsed.role == LoraRole::Alpha) {  // which has no place where there is no pair
      pair.alpha = name;
      continue;
    }
    ++match.num_matched;
    pair.name = parsed;
    switch (parsed.role) {
      case LoraRole::Down:
        pair.down = name;
        break;
      case LoraRole::Up:
        pair.up = name;
        break;
      case LoraRole::UpBias:
        pair.bias = name;
        break;
      case LoraRole::Alpha:
        break;
      case LoraRole::WeightDifference:
      case LoraRole::BiasDifference:
      case LoraRole::ModulationDifference:
        add_difference(name, target, weight);
        break;
    }
  }

  for (const auto& [module, pair] : pairs) {
    if (pair.down.empty() && pair.up.empty() && pair.bias.empty()) {
      if (!pair.alpha.empty()) unmatched(pair.alpha);
      continue;
    }
    if (pair.down.empty() || pair.up.empty()) {
      fail(ErrorKind::Input, "{}: has only one half of the adapter of {}: {}", file.description(),
           module,
           !pair.down.empty() ? pair.down
           : !pair.up.empty() ? pair.up
                              : pair.bias);
    }
    const at::Tensor down_RK = as_matrix(values_of(file, pair.down)),
                     up_NR = as_matrix(values_of(file, pair.up));
    const TensorInfo& info = model.info(module + ".weight");
    const int64_t rows = info.shape.empty() ? 0 : info.shape[0];
    if (down_RK.dim() != 2 || up_NR.dim() != 2 || up_NR.size(0) != rows || rows == 0 ||
        down_RK.size(1) != info.num_values() / rows || up_NR.size(1) != down_RK.size(0) ||
        down_RK.size(0) == 0) {
      fail(ErrorKind::Input,
           "{}: the adapter of {} is [{}] times [{}], but the model's weight has shape [{}]; is it "
           "for "
           "a model of another size?",
           file.description(), module, fmt::join(up_NR.sizes().vec(), ", "),
           fmt::join(down_RK.sizes().vec(), ", "), fmt::join(info.shape, ", "));
    }
    const double rank = static_cast<double>(down_RK.size(0));
    const double scale = pair.alpha.empty() ? config.scale(pair.name, rank).value_or(1.0)
                                            : alpha_of(file, pair.alpha) / rank;
    if (!pair.alpha.empty()) ++match.num_matched;
    changes[module + ".weight"].low_rank.push_back({down_RK, up_NR, weight * scale});
    if (!pair.bias.empty()) add_difference(pair.bias, module + ".bias", weight * scale);
  }
  return match;
}

}  // namespace sora
