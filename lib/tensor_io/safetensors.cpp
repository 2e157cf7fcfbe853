#include "lib/tensor_io/safetensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "lib/core/error.h"
#include "lib/tensor_io/page_cache.h"

namespace sora {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensors are mapped as they lie in the file");

struct Mistaken {
  std::string_view begins_with;
  std::string_view what;
};

// What people have in place of a safetensors file, by its first bytes.
constexpr Mistaken kMistaken[] = {
    {"version https://git-lfs",
     "is a git-lfs pointer, not the file itself; run `git lfs pull` in its repository"},
    {"PK\x03\x04",
     "is a torch pickle, which can run code when loaded; use the .safetensors file of the same "
     "model"},
    {"\x80\x02",
     "is a pickle, which can run code when loaded; use the .safetensors file of the same model"},
    {"GGUF", "is a GGUF file; use the .safetensors file of the same model"},
    {"<!DOCTYPE", "is a web page, not the file it should be; download it again"},
    {"<html", "is a web page, not the file it should be; download it again"},
};

uint64_t header_length(std::string_view file, const std::string& description) {
  for (const Mistaken& mistaken : kMistaken) {
    if (file.substr(0, mistaken.begins_with.size()) == mistaken.begins_with) {
      fail(ErrorKind::Input, "{}: {}", description, mistaken.what);
    }
  }
  if (file.size() < kSafetensorsPrefix) {
    fail(ErrorKind::Input,
         "{}: has {} bytes, too few for a safetensors file; download or copy it again", description,
         file.size());
  }
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  if (length > uint64_t{kMaxSafetensorsHeader}) {
    fail(ErrorKind::Input,
         "{}: is not a safetensors file (its header would have {} bytes, at most {} are allowed)",
         description, length, kMaxSafetensorsHeader);
  }
  const uint64_t rest = file.size() - kSafetensorsPrefix;
  if (length > rest) {
    fail(ErrorKind::Input,
         "{}: is truncated, {} bytes of its header alone are missing; download or copy it again",
         description, length - rest);
  }
  return length;
}

void check_bools(const std::byte* data, size_t count, const std::string& name,
                 const std::string& description) {
  const bool valid =
      std::all_of(data, data + count, [](std::byte value) { return value <= std::byte{1}; });
  if (!valid)
    fail(ErrorKind::Input, "{}: tensor \"{}\" of dtype BOOL has bytes other than 0 and 1",
         description, name);
}

}  // namespace

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  const auto mapping = std::make_shared<const MappedFile>(path);
  const std::span<const std::byte> bytes = mapping->bytes();
  const std::string_view file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string description = path.string();

  const uint64_t length = header_length(file, description);
  const int64_t num_data_bytes = static_cast<int64_t>(file.size() - kSafetensorsPrefix - length);
  SafetensorsHeader header = parse_safetensors_header(file.substr(kSafetensorsPrefix, length),
                                                      num_data_bytes, description);

  const std::shared_ptr<SafetensorsFile> result(new SafetensorsFile);
  const std::byte* data = bytes.data() + kSafetensorsPrefix + length;
  for (SafetensorsEntry& entry : header.entries) {
    result->position_.emplace(entry.name, result->tensors_.size());
    result->data_.push_back(data + entry.begin);
    result->tensors_.push_back(
        {std::move(entry.name), entry.dtype, std::move(entry.shape), nullptr});
  }
  result->mapping_ = mapping;
  result->metadata_ = std::move(header.metadata);
  return result;
}

at::Tensor SafetensorsFile::get(const std::string& name) const {
  const auto found = position_.find(name);
  if (found == position_.end())
    fail(ErrorKind::Internal, "{}: has no tensor \"{}\"", path().string(), name);
  mapping_->check_unchanged();

  const TensorInfo& info = tensors_[found->second];
  const std::byte* data = data_[found->second];
  const auto options = at::TensorOptions().dtype(info.dtype);
  const size_t element_size = c10::elementSize(info.dtype);
  if (reinterpret_cast<uintptr_t>(data) % element_size != 0) {
    at::Tensor copy = at::empty(info.shape, options);
    std::memcpy(copy.data_ptr(), data, copy.nbytes());
    return copy;
  }
  at::Tensor view = at::from_blob(
      const_cast<std::byte*>(data), info.shape, [mapping = mapping_](void*) {}, options);
  if (info.dtype == at::kBool) check_bools(data, view.nbytes(), name, path().string());
  return view;
}

void SafetensorsFile::forget_pages(const std::string& name) const {
  const size_t position = position_.at(name);
  forget_mapped_pages(data_[position], static_cast<size_t>(tensors_[position].num_bytes()));
}

}  // namespace sora
