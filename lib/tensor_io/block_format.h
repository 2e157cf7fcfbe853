// The packed number formats of GGUF (ggml-common.h of ggml): blocks of 32 or 256 values that share
// scales.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sora {

struct BlockFormat {
  std::string_view name;  // "Q4_K"
  uint32_t type;          // its number in a GGUF file
  int64_t num_values;     // of a block
  int64_t num_bytes;
  void (*expand)(const uint8_t* block, float* values);
  // The block nearest to the values, as far as it is searched for; null where the format is only
  // read.
  void (*pack)(const float* values, uint8_t* block);
};

// Null where the number or name is of no format that is known here.
const BlockFormat* find_block_format(uint32_t type);
const BlockFormat* find_block_format(std::string_view name);

}  // namespace sora
