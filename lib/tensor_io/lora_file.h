// LoRA files under the names that diffusers, kohya's and musubi's trainers, lightx2v and ComfyUI
// give to their tensors.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/tensor_io/checkpoint.h"
#include "lib/tensor_io/low_rank.h"

namespace sora {

enum class LoraRole { Down, Up, Alpha, WeightDifference, BiasDifference, ModulationDifference };

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

struct LoraMatch {
  int64_t num_matched = 0;  // tensors of the file
  int64_t num_unmatched = 0;
  std::vector<std::string> unmatched;  // the first few
};

// A module of the file to the name of the module in the model, without ".weight"; empty: none.
using FindModule = std::function<std::string(const LoraName&)>;

// Reads the changes into `changes`, each multiplied by `weight`. Only tensors of one expert are
// read where names tell them apart. Throws Error(Input) for a pair of which one is missing, or
// whose shapes do not fit the tensor of `model` that they change.
LoraMatch read_lora(const std::filesystem::path& path, double weight, bool low_noise,
                    const Checkpoint& model, const FindModule& find_module, TensorChanges& changes);

}  // namespace sora
