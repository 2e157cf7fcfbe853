// All the tensors of one model component, from one file or from several with an index.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/tensor_io/tensor_file.h"

namespace sora {

class Checkpoint {
 public:
  explicit Checkpoint(std::vector<std::shared_ptr<const TensorFile>> files);

  // Opens a component directory as diffusers and transformers write it
  // (`diffusion_pytorch_model.safetensors`, `model.safetensors`, or either with
  // `.safetensors.index.json` and shards), or a single tensor file. Throws Error(NotFound) naming a
  // missing shard, Error(Input) for pickles and invalid files.
  static Checkpoint open(const std::filesystem::path& path);

  const std::string& description() const { return description_; }  // the path, for error messages
  bool has(const std::string& name) const { return index_.count(name) != 0; }
  const TensorInfo& info(
      const std::string& name) const;             // throws Error(Input) naming a missing tensor
  at::Tensor get(const std::string& name) const;  // likewise; a view of mapped memory
  std::vector<std::string> names() const;         // sorted
  int64_t num_bytes() const;                      // of all tensors

 private:
  struct Entry {
    std::shared_ptr<const TensorFile> file;
    size_t position;
  };
  std::vector<std::shared_ptr<const TensorFile>> files_;
  std::unordered_map<std::string, Entry> index_;
  std::string description_;
};

}  // namespace sora
