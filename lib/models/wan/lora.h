// LoRA files applied to Wan's transformer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/core/model_files.h"
#include "lib/tensor_io/checkpoint.h"
#include "lib/tensor_io/low_rank.h"

namespace sora {

// The changes that the files make to one expert (or to the only one), and one line a file on how
// many of its tensors found their place. `model` has diffusers' names. Throws Error(Input) where a
// file does not fit or changes nothing; with two experts it may be for the other one alone.
struct WanLoras {
  std::shared_ptr<const TensorChanges> changes;  // null where no file is for this expert
  std::vector<std::string> report;
  int64_t num_unmatched = 0;  // tensors of the files that have no place
};
WanLoras read_wan_loras(const std::vector<LoraChoice>& choices, bool low_noise,
                        bool has_two_experts, const Checkpoint& model);

}  // namespace sora
