// The changes that a LoRA file makes to a model.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/tensor_io/checkpoint.h"
#include "lib/tensor_io/lora_name.h"
#include "lib/tensor_io/low_rank.h"

namespace sora {

struct LoraMatch {
  int64_t num_matched = 0;  // tensors of the file
  int64_t num_unmatched = 0;
  int64_t num_of_other_expert = 0;     // passed over, where names tell the experts apart
  std::vector<std::string> unmatched;  // the first few
};

// A module of the file to the name of the module in the model, without ".weight"; empty: none.
using FindModule = std::function<std::string(const LoraName&)>;

// Reads the changes into `changes`, each multiplied by `weight`. Only tensors of one expert are
// read where names tell them apart. Those of a patch embedding that takes other channels than the
// model's have no place, as in diffusers. Throws Error(Input) for a pair of which one is missing,
// or whose shapes do not fit the tensor of `model` that they change.
LoraMatch read_lora(const std::filesystem::path& path, double weight, bool low_noise,
                    const Checkpoint& model, const FindModule& find_module, TensorChanges& changes);

}  // namespace sora
