// Layout: gguf_header.h.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdint>
#include <type_traits>

#include "lib/core/error.h"
#include "lib/tensor_io/atomic_file.h"
#include "lib/tensor_io/gguf_header.h"
#include "lib/tensor_io/tensor_source.h"

namespace sora {
namespace {

constexpr uint32_t kVersion = 3, kArrayType = 9;

// The number by which GGUF knows the type of a metadata value.
template <typename T>
constexpr uint32_t kTypeOf = ~0U;
template <>
constexpr uint32_t kTypeOf<uint8_t> = 0;
template <>
constexpr uint32_t kTypeOf<uint32_t> = 4;
template <>
constexpr uint32_t kTypeOf<int32_t> = 5;
template <>
constexpr uint32_t kTypeOf<float> = 6;
template <>
constexpr uint32_t kTypeOf<std::string> = 8;

constexpr size_t kAlignment = 32, kMaxGgmlDims = 4;

uint32_t type_of(const TensorSource& tensor) {
  if (tensor.blocks) return tensor.blocks->type;
  switch (tensor.dtype) {
    case at::kFloat:
      return 0;
    case at::kHalf:
      return 1;
    case at::kBFloat16:
      return 30;
    default:
      fail(ErrorKind::Internal, "tensor \"{}\" has a type that GGUF has not", tensor.name);
  }
}

size_t num_bytes(const TensorSource& tensor) {
  size_t values = 1;
  for (const int64_t side : tensor.shape) values *= static_cast<size_t>(side);
  if (!tensor.blocks) return values * c10::elementSize(tensor.dtype);
  return values / static_cast<size_t>(tensor.blocks->num_values) *
         static_cast<size_t>(tensor.blocks->num_bytes);
}

// The outer dimensions are joined until four are left.
std::vector<int64_t> ggml_shape(std::vector<int64_t> shape) {
  while (shape.size() > kMaxGgmlDims) {
    shape[1] *= shape[0];
    shape.erase(shape.begin());
  }
  return shape;
}

class Header {
 public:
  template <typename T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view text) {
    number<uint64_t>(text.size());
    bytes_.append(text);
  }
  void value(const std::string& key, const GgufMetadata& value) {
    text(key);
    std::visit([&](const auto& each) { typed(each); }, value);
  }
  std::string padded() const {
    return bytes_ + std::string((kAlignment - bytes_.size() % kAlignment) % kAlignment, '\0');
  }

 private:
  template <typename T>
  void bare(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      text(value);
    } else {
      number(value);
    }
  }
  template <typename T>
  void typed(const T& value) {
    number(kTypeOf<T>);
    bare(value);
  }
  template <typename T>
  void typed(const std::vector<T>& values) {
    number(kArrayType);
    number(kTypeOf<T>);
    number<uint64_t>(values.size());
    for (const T& each : values) bare(each);
  }

  std::string bytes_;
};

at::Tensor packed_bytes(const TensorSource& tensor) {
  const at::Tensor values = tensor.load().to(at::kFloat).contiguous();
  at::Tensor bytes = at::empty({static_cast<int64_t>(num_bytes(tensor))}, at::kByte);
  const BlockFormat& format = *tensor.blocks;
  const int64_t num_blocks = values.numel() / format.num_values;
  const float* in = values.const_data_ptr<float>();
  uint8_t* out = bytes.mutable_data_ptr<uint8_t>();
  at::parallel_for(0, num_blocks, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      format.pack(in + i * format.num_values, out + i * format.num_bytes);
  });
  return bytes;
}

}  // namespace

void write_gguf(const std::filesystem::path& path, const std::vector<TensorSource>& tensors,
                const std::map<std::string, GgufMetadata>& metadata) {
  uint64_t num_values = metadata.size();
  for (const TensorSource& tensor : tensors) num_values += tensor.shape.size() > kMaxGgmlDims;
  Header header;
  for (const char c : kGgufMagic) header.number(c);
  header.number(kVersion);
  header.number<uint64_t>(tensors.size());
  header.number(num_values);
  for (const auto& [key, value] : metadata) header.value(key, value);
  for (const TensorSource& tensor : tensors) {
    if (tensor.shape.size() > kMaxGgmlDims)
      header.value("comfy.gguf.orig_shape." + tensor.name,
                   std::vector<int32_t>(tensor.shape.begin(), tensor.shape.end()));
  }
  uint64_t offset = 0;
  for (const TensorSource& tensor : tensors) {
    const std::vector<int64_t> shape = ggml_shape(tensor.shape);
    if (tensor.blocks && (!tensor.blocks->pack || tensor.shape.empty() ||
                          tensor.shape.back() % tensor.blocks->num_values != 0)) {
      fail(ErrorKind::Internal, "tensor \"{}\" cannot be packed in {}", tensor.name,
           tensor.blocks->name);
    }
    header.text(tensor.name);
    header.number(static_cast<uint32_t>(shape.size()));
    for (auto side = shape.rbegin(); side != shape.rend(); ++side)
      header.number(static_cast<uint64_t>(*side));
    header.number(type_of(tensor));
    header.number(offset);
    offset += (num_bytes(tensor) + kAlignment - 1) / kAlignment * kAlignment;
  }

  AtomicFile file(path);
  const std::string head = header.padded();
  file.write(head.data(), head.size());
  const std::string padding(kAlignment, '\0');
  for (const TensorSource& tensor : tensors) {
    const at::Tensor bytes =
        tensor.blocks ? packed_bytes(tensor) : tensor.load().to(tensor.dtype).contiguous();
    if (bytes.nbytes() != num_bytes(tensor))
      fail(ErrorKind::Internal, "tensor \"{}\" is not of the size announced", tensor.name);
    file.write(bytes.const_data_ptr(), bytes.nbytes());
    file.write(padding.data(), (kAlignment - bytes.nbytes() % kAlignment) % kAlignment);
  }
  file.commit();
}

}  // namespace sora
