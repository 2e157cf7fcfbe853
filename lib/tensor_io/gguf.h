// GGUF files, read by memory map.
#pragma once

#include <memory>
#include <unordered_map>

#include "lib/tensor_io/gguf_header.h"
#include "lib/tensor_io/mapped_file.h"
#include "lib/tensor_io/tensor_file.h"

namespace sora {

class GgufFile final : public TensorFile {
 public:
  // Throws Error(NotFound), Error(Io), or Error(Input) saying what is wrong with the file.
  static std::shared_ptr<const GgufFile> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const override { return mapping_->path(); }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  // Of a packed tensor its blocks, as a flat tensor of bytes.
  at::Tensor get(const std::string& name) const override;
  void forget_pages(const std::string& name) const override;
  // The texts among the values.
  const std::map<std::string, std::string>& metadata() const override { return texts_; }
  const std::map<std::string, GgufValue>& values() const { return values_; }

 private:
  GgufFile() = default;

  std::shared_ptr<const MappedFile> mapping_;
  std::vector<TensorInfo> tensors_;
  std::vector<int64_t> begin_;  // bytes of the file, one for each of tensors_
  std::unordered_map<std::string, size_t> position_;
  std::map<std::string, GgufValue> values_;
  std::map<std::string, std::string> texts_;
};

}  // namespace sora
