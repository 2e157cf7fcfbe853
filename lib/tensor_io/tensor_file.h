// One file of named tensors, whatever its format, opened by memory map.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/tensor_io/block_format.h"

namespace sora {

struct TensorInfo {
  std::string name;
  at::ScalarType dtype;                 // of the elements as stored; U8 where packed
  std::vector<int64_t> shape;           // of the values
  const BlockFormat* blocks = nullptr;  // of a tensor packed in blocks, null for a plain one

  int64_t num_values() const;
  int64_t num_bytes() const;  // as stored
};

// Implementations: safetensors (safetensors.h), GGUF (gguf.h). Immutable after opening; safe to
// read from several threads.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  virtual const std::filesystem::path& path() const = 0;
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  // What the file says of itself besides tensors, as text.
  virtual const std::map<std::string, std::string>& metadata() const = 0;
  // A view of the mapped bytes, no copy, never to be written to; it keeps the mapping alive. `name`
  // must be in tensors(). Of a packed tensor the bytes of its blocks, U8 and flat.
  virtual at::Tensor get(const std::string& name) const = 0;
  // Lets the mapped pages of a tensor go until it is read again.
  virtual void forget_pages(const std::string& name) const = 0;
};

}  // namespace sora
