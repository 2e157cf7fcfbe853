// The header of a safetensors file (https://huggingface.co/docs/safetensors): 8 bytes of
// little-endian length, then that many bytes of JSON, then the tensors' bytes.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

// A quarter of what the format allows, and a hundred times what a model of this kind needs: a
// damaged header is to be refused within a second.
inline constexpr int64_t kMaxSafetensorsHeader = 25'000'000;
inline constexpr int64_t kSafetensorsPrefix = 8;

struct SafetensorsEntry {
  std::string name;
  at::ScalarType dtype;
  std::vector<int64_t> shape;
  int64_t begin;  // bytes after the header, [begin, end)
  int64_t end;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;        // by position in the file
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

// Reads the JSON part and proves that the entries lie one behind the other from 0 to
// `num_data_bytes`, so that no byte of the file belongs to two tensors or to none. `description`
// names the file in messages. Throws Error(Input) naming the tensor and what is wrong with it.
SafetensorsHeader parse_safetensors_header(std::string_view json, int64_t num_data_bytes,
                                           const std::string& description);

}  // namespace sora
