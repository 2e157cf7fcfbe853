// All the tensors of one model component, from one file or from several with an index.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/tensor_io/packed_matrix.h"
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

  // The same tensors under the names that `rename` gives them; one renamed to "" is left out.
  // Throws Error(Input) where two get the same name.
  Checkpoint renamed(const std::function<std::string(const std::string&)>& rename) const;

  // The tensors of both. Throws Error(Input) where a name is in both.
  Checkpoint with(const Checkpoint& other) const;

  // Of the first file; see TensorFile::metadata().
  const std::map<std::string, std::string>& metadata() const { return files_.front()->metadata(); }

  const std::string& description() const { return description_; }  // the path, for error messages
  // Of a tensor that is stored packed (GGUF's blocks, f8, or i8 and f8 with scales beside it): the
  // matrix of its values, of which the last dimension is a row. Null for a plain tensor.
  std::shared_ptr<const PackedMatrix> packed(const std::string& name) const;

  // Lets the pages of all tensors whose names begin so go from this process's memory, until they
  // are read again; see page_cache.h.
  void forget_pages(const std::string& prefix) const;

  bool has(const std::string& name) const { return index_.count(name) != 0; }
  const TensorInfo& info(
      const std::string& name) const;             // throws Error(Input) naming a missing tensor
  at::Tensor get(const std::string& name) const;  // likewise; a view of mapped memory
  std::vector<std::string> names() const;         // sorted
  int64_t num_bytes() const;                      // of all tensors, as stored
  const std::vector<std::shared_ptr<const TensorFile>>& files() const { return files_; }

 private:
  struct Entry {
    std::shared_ptr<const TensorFile> file;
    size_t position;
  };
  const TensorInfo& info_of(const Entry& entry) const;
  void take_scales();

  std::vector<std::shared_ptr<const TensorFile>> files_;
  std::unordered_map<std::string, Entry> index_;
  std::unordered_map<std::string, Entry> scales_;  // by the name of the tensor they multiply
  std::string description_;
};

}  // namespace sora
