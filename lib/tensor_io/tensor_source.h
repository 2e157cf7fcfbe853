// Tensors on their way into a file, made one at a time while it is written, so that a model larger
// than the memory can be converted.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "lib/tensor_io/block_format.h"

namespace sora {

struct TensorSource {
  std::string name;
  std::vector<int64_t> shape;
  at::ScalarType dtype;                 // of the values in the file where they are plain
  const BlockFormat* blocks = nullptr;  // the format to pack them in; GGUF alone
  std::function<at::Tensor()> load;     // values of any floating-point type
};

// As write_safetensors of safetensors.h, which takes tensors that are there already.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata);

// A metadata value on its way into a GGUF file, in the type that it has there: a text, a u32, or a
// list of texts, f32, i32 or u8.
using GgufMetadata = std::variant<std::string, uint32_t, std::vector<std::string>,
                                  std::vector<float>, std::vector<int32_t>, std::vector<uint8_t>>;

// GGUF 3. Shapes of five dimensions are written as ComfyUI expects them:
// four, and the true one in "comfy.gguf.orig_shape.NAME". Appears whole or not at all. Throws
// Error(Io); Error(Internal) for a type that GGUF has not, or a row that is no whole blocks.
void write_gguf(const std::filesystem::path& path, const std::vector<TensorSource>& tensors,
                const std::map<std::string, GgufMetadata>& metadata);

}  // namespace sora
