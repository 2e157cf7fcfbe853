#include "lib/tensor_io/gguf.h"

#include <ATen/ATen.h>

#include <cstring>

#include "lib/core/error.h"
#include "lib/tensor_io/page_cache.h"

namespace sora {

std::shared_ptr<const GgufFile> GgufFile::open(const std::filesystem::path& path) {
  const auto mapping = std::make_shared<const MappedFile>(path);
  const std::string_view file(reinterpret_cast<const char*>(mapping->bytes().data()),
                              mapping->bytes().size());
  GgufHeader header = parse_gguf_header(file, path.string());
  const std::shared_ptr<GgufFile> result(new GgufFile);
  for (GgufTensor& tensor : header.tensors) {
    result->position_.emplace(tensor.name, result->tensors_.size());
    result->begin_.push_back(tensor.begin);
    result->tensors_.push_back(
        {std::move(tensor.name), tensor.dtype, std::move(tensor.shape), tensor.blocks});
  }
  for (const auto& [key, value] : header.metadata) {
    if (const auto* text = std::get_if<std::string>(&value)) result->texts_.emplace(key, *text);
  }
  result->values_ = std::move(header.metadata);
  result->mapping_ = mapping;
  return result;
}

at::Tensor GgufFile::get(const std::string& name) const {
  const auto found = position_.find(name);
  if (found == position_.end())
    fail(ErrorKind::Internal, "{}: has no tensor \"{}\"", path().string(), name);
  mapping_->check_unchanged();
  const TensorInfo& info = tensors_[found->second];
  const std::byte* data = mapping_->bytes().data() + begin_[found->second];
  const auto options = at::TensorOptions().dtype(info.dtype);
  const std::vector<int64_t> shape =
      info.blocks ? std::vector<int64_t>{info.num_bytes()} : info.shape;
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(info.dtype) != 0) {
    at::Tensor copy = at::empty(shape, options);
    std::memcpy(copy.data_ptr(), data, copy.nbytes());
    return copy;
  }
  return at::from_blob(
      const_cast<std::byte*>(data), shape, [mapping = mapping_](void*) {}, options);
}

void GgufFile::forget_pages(const std::string& name) const {
  const size_t position = position_.at(name);
  forget_mapped_pages(mapping_->bytes().data() + begin_[position],
                      static_cast<size_t>(tensors_[position].num_bytes()));
}

}  // namespace sora
