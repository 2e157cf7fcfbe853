#include "lib/tensor_io/lora_name.h"

#include <algorithm>

#include "lib/core/error.h"

namespace sora {
namespace {

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
    {".lora_linear_layer.down.weight", LoraRole::Down},
    {".lora_linear_layer.up.weight", LoraRole::Up},
    {".lora_A", LoraRole::Down},
    {".lora_B", LoraRole::Up},
    {".lora_B.bias", LoraRole::UpBias},
    {".lora_B.default.bias", LoraRole::UpBias},
    {".alpha", LoraRole::Alpha},
    {".diff", LoraRole::WeightDifference},
    {".diff_b", LoraRole::BiasDifference},
    {".diff_m", LoraRole::ModulationDifference},
};

// Adapters of other mathematics, which silence would leave out.
constexpr std::string_view kOtherKinds[] = {"hada_w",     "lokr_w",  "oft_",
                                            "dora_scale", "glora",   ".a1.weight",
                                            "boft",       ".lora_E", "lora_magnitude_vector"};

constexpr std::string_view kPrefixes[] = {"base_model.model.",      "pipe.dit.",
                                          "model.diffusion_model.", "diffusion_model.",
                                          "transformer.",           "unet."};
constexpr std::string_view kFlatPrefixes[] = {"lora_unet__", "lora_unet_", "lora_transformer_",
                                              "lycoris_"};
constexpr std::string_view kLowNoisePrefix = "transformer_2.";

bool take_prefix(std::string_view& rest, std::string_view prefix) {
  if (!rest.starts_with(prefix)) return false;
  rest.remove_prefix(prefix.size());
  return true;
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

}  // namespace sora
