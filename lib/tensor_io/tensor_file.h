// One file of named tensors, whatever its format, opened by memory map.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace sora {

struct TensorInfo {
  std::string name;
  at::ScalarType dtype;
  std::vector<int64_t> shape;
};

// Implementations: safetensors (safetensors.h). Immutable after opening; safe to read from several
// threads.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  virtual const std::filesystem::path& path() const = 0;
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  // A view of the mapped bytes, no copy, never to be written to; it keeps the mapping alive. `name`
  // must be in tensors().
  virtual at::Tensor get(const std::string& name) const = 0;
};

}  // namespace sora
