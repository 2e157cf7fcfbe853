// A weight [N, K] is changed by weight * (alpha / R) * up [N, R] down [R, K]; alpha is R where the
// file has none.
#include "lib/tensor_io/lora_file.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr size_t kMaxNamed = 3;

struct SuffixRow {
  std::string_view suffix;
  LoraRole role;
};

constexpr SuffixRow kSuffixes[] = {
    {".lora_A.weight", LoraRole::Down},
    {".lora_B.weight", LoraRole::Up},
    {".lora_A.default.weight", LoraRole::Down},
    {".lora_B.default.weight", LoraRole::Up},
    {".lora_down.weight", LoraRole::Down},
    {".lora_up.weight", LoraRole::Up},
    {".lora_down.default.weight", LoraRole::Down},
    {".lora_up.default.weight", LoraRole::Up},
    {".lora.down.weight", LoraRole::Down},
    {".lora.up.weight", LoraRole::Up},
    {".lora_A", LoraRole::Down},
    {".lora_B", LoraRole::Up},
    {".alpha", LoraRole::Alpha},
    {".diff", LoraRole::WeightDifference},
    {".diff_b", LoraRole::BiasDifference},
    {".diff_m", LoraRole::ModulationDifference},
};

// Adapters of other mathematics, which silence would leave out.
constexpr std::string_view kOtherKinds[] = {"hada_w", "lokr_w",     "oft_", "dora_scale",
                                            "glora",  ".a1.weight", "boft"};

constexpr std::string_view kPrefixes[] = {"base_model.model.", "model.diffusion_model.",
                                          "diffusion_model.", "transformer.", "unet."};
constexpr std::string_view kFlatPrefixes[] = {"lora_unet__", "lora_unet_", "lora_transformer_"};
constexpr std::string_view kLowNoisePrefix = "transformer_2.";

bool take_prefix(std::string_view& rest, std::string_view prefix) {
  if (!rest.starts_with(prefix)) return false;
  rest.remove_prefix(prefix.size());
  return true;
}

struct Pair {
  LoraName name;
  std::string down, up, alpha;  // names in the file
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

}  // namespace

LoraName parse_lora_name(std::string_view name, const std::string& description) {
  for (const std::string_view kind : kOtherKinds) {
    if (name.find(kind) == std::string_view::npos) continue;
    fail(
        ErrorKind::Input,
        "{}: \"{}\" belongs to an adapter that is no LoRA ({}); LoRA and differences are supported",
        description, name, kind);
  }
  LoraName result{};
  const SuffixRow* found = nullptr;
  for (const SuffixRow& row : kSuffixes) {
    if (name.ends_with(row.suffix) && (!found || row.suffix.size() > found->suffix.size()))
      found = &row;
  }
  if (!found) return result;
  result.role = found->role;
  std::string_view rest = name.substr(0, name.size() - found->suffix.size());
  for (const std::string_view prefix : kPrefixes) take_prefix(rest, prefix);
  result.low_noise = take_prefix(rest, kLowNoisePrefix);
  for (const std::string_view prefix : kFlatPrefixes) {
    if (take_prefix(rest, prefix)) {
      result.flattened = true;
      break;
    }
  }
  result.module = rest;
  return result;
}

LoraMatch read_lora(const std::filesystem::path& path, double weight, bool low_noise,
                    const Checkpoint& model, const FindModule& find_module,
                    TensorChanges& changes) {
  const Checkpoint file = Checkpoint::open(path);
  LoraMatch match;
  std::map<std::string, Pair> pairs;  // by the module in the model
  const auto unmatched = [&](const std::string& name) {
    ++match.num_unmatched;
    if (match.unmatched.size() < kMaxNamed) match.unmatched.push_back(name);
  };
  const std::vector<std::string> names = file.names();
  const bool tells_experts_apart = std::any_of(
      names.begin(), names.end(),
      [&](const std::string& name) { return parse_lora_name(name, file.description()).low_noise; });
  for (const std::string& name : names) {
    const LoraName parsed = parse_lora_name(name, file.description());
    if (tells_experts_apart && parsed.low_noise != low_noise && !parsed.module.empty()) continue;
    const std::string module = parsed.module.empty() ? "" : find_module(parsed);
    const bool is_weight =
        parsed.role != LoraRole::BiasDifference && parsed.role != LoraRole::ModulationDifference;
    std::string target = module + (is_weight ? ".weight" : ".bias");
    if (parsed.role == LoraRole::ModulationDifference)
      target = module.empty() ? "scale_shift_table" : module + ".scale_shift_table";
    if (module.empty() || !model.has(target)) {
      // A table of its own (modulation) carries no ".weight".
      if (!module.empty() && parsed.role == LoraRole::WeightDifference && model.has(module)) {
        target = module;
      } else {
        unmatched(name);
        continue;
      }
    }
    ++match.num_matched;
    Pair& pair = pairs[module];
    pair.name = parsed;
    if (parsed.role == LoraRole::Down) pair.down = name;
    if (parsed.role == LoraRole::Up) pair.up = name;
    if (parsed.role == LoraRole::Alpha) pair.alpha = name;
    if (parsed.role == LoraRole::Down || parsed.role == LoraRole::Up ||
        parsed.role == LoraRole::Alpha)
      continue;
    at::Tensor values = file.get(name);
    const TensorInfo& info = model.info(target);
    if (values.numel() != info.num_values()) {
      fail(ErrorKind::Input, "{}: {} has shape [{}], but {} of the model has [{}]",
           file.description(), name, fmt::join(values.sizes().vec(), ", "), target,
           fmt::join(info.shape, ", "));
    }
    changes[target].differences.push_back({values.reshape(info.shape), weight});
  }

  for (const auto& [module, pair] : pairs) {
    if (pair.down.empty() && pair.up.empty()) continue;
    if (pair.down.empty() || pair.up.empty()) {
      fail(ErrorKind::Input, "{}: has only one half of the adapter of {}: {}", file.description(),
           module, pair.down.empty() ? pair.up : pair.down);
    }
    const at::Tensor down_RK = as_matrix(file.get(pair.down)), up_NR = as_matrix(file.get(pair.up));
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
    const double alpha = pair.alpha.empty() ? rank : alpha_of(file, pair.alpha);
    changes[module + ".weight"].low_rank.push_back({down_RK, up_NR, weight * alpha / rank});
  }
  return match;
}

}  // namespace sora
