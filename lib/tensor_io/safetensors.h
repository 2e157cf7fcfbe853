// safetensors files: reading by memory map, and writing.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/tensor_io/mapped_file.h"
#include "lib/tensor_io/safetensors_header.h"
#include "lib/tensor_io/tensor_file.h"

namespace sora {

class SafetensorsFile final : public TensorFile {
 public:
  // Throws Error(NotFound), Error(Io), or Error(Input) saying what is wrong with the file.
  static std::shared_ptr<const SafetensorsFile> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const override { return mapping_->path(); }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  // A tensor that does not begin at a multiple of its element size is the one kind that is copied.
  at::Tensor get(const std::string& name) const override;

  void forget_pages(const std::string& name) const override;

  const std::map<std::string, std::string>& metadata() const override { return metadata_; }

 private:
  SafetensorsFile() = default;

  std::shared_ptr<const MappedFile> mapping_;
  std::vector<TensorInfo> tensors_;
  std::vector<const std::byte*> data_;  // one for each of tensors_
  std::unordered_map<std::string, size_t> position_;
  std::map<std::string, std::string> metadata_;
};

// Writes the tensors (any device and strides) so that the file appears whole under its name or not
// at all, replacing one that was there. The order and padding are those of the safetensors library.
// Throws Error(Io) and leaves nothing behind; Error(Internal) on a repeated name or a dtype without
// a safetensors name.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace sora
