// UMT5 encoders as single files: the names of Wan's own code (wan/modules/t5.py) and of llama.cpp's
// GGUF, turned into those of transformers, and the config read off the shapes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/tensor_io/checkpoint.h"

namespace sora {

// The encoder's tensors in transformers' names, from a file that may hold other things too. Throws
// Error(Input) where it does not hold a UMT5 encoder.
Checkpoint with_umt5_names(const Checkpoint& checkpoint);

// llama.cpp's name of a tensor in transformers' names, as GGUF files have it.
std::string gguf_umt5_name(const std::string& name);

// The config.json that transformers would have written. Takes tensors in transformers' names; what
// shapes cannot say is that of UMT5-XXL.
nlohmann::json umt5_config_from_shapes(const Checkpoint& checkpoint);

}  // namespace sora
