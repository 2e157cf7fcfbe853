// The index that diffusers and transformers write beside the shards of a checkpoint: a JSON object
// whose "weight_map" says for each tensor which file holds it.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace sora {

// Tensor to the plain name of a file beside the index.
using ShardIndex = std::map<std::string, std::string>;

// Throws Error(Input), naming `description`, for what is no such index, or where a name could lead
// out of the index's directory.
ShardIndex parse_shard_index(std::string_view text, const std::string& description);

}  // namespace sora
