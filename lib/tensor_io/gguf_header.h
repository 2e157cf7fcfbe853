// The header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic,
// version, counts, metadata, tensor list, then the tensors' bytes from the next multiple of the
// alignment on.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/tensor_io/block_format.h"

namespace sora {

// Integers of every width become int64 (a u64 above its range is refused), floats double.
using GgufValue = std::variant<int64_t, double, bool, std::string, std::vector<int64_t>,
                               std::vector<double>, std::vector<std::string>>;

struct GgufTensor {
  std::string name;
  std::vector<int64_t> shape;  // slowest dimension first, as torch counts; up to five
  at::ScalarType dtype;        // kByte where packed
  const BlockFormat* blocks;   // null: plain values
  int64_t begin;               // bytes of the file, [begin, end)
  int64_t end;
};

struct GgufHeader {
  std::map<std::string, GgufValue> metadata;
  std::vector<GgufTensor> tensors;
};

inline constexpr std::string_view kGgufMagic = "GGUF";

// `file` is the whole file, of which only the header is read. Proves that every tensor lies inside
// it, aligned, one behind the other. Shapes that ComfyUI keeps apart because ggml has four
// dimensions
// ("comfy.gguf.orig_shape.NAME") are put back. Throws Error(Input) naming what is wrong.
GgufHeader parse_gguf_header(std::string_view file, const std::string& description);

}  // namespace sora
