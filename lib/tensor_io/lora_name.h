// The names that diffusers, kohya's and musubi's trainers, lightx2v and ComfyUI give to the tensors
// of a LoRA file.
#pragma once

#include <string>
#include <string_view>

namespace sora {

enum class LoraRole {
  Down,
  Up,
  UpBias,  // scaled as the pair is
  Alpha,
  WeightDifference,
  BiasDifference,
  ModulationDifference,
};

// A tensor's name taken apart.
struct LoraName {
  std::string module;  // without prefixes, dots as they were: "blocks.0.self_attn.q"
  LoraRole role;
  bool flattened = false;  // kohya: dots of the module became underscores
  bool low_noise = false;  // diffusers' "transformer_2."
};

// Throws Error(Input), with `description` in the message, for a kind of adapter that is not read
// (LoHa, LoKr, DoRA). A name that is none of a transformer's adapter gives an empty module.
LoraName parse_lora_name(std::string_view name, const std::string& description);

}  // namespace sora
