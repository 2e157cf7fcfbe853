// Tensors lie in the order of falling element size, then of names, behind a header padded to 8
// bytes, so that each begins at a multiple of its element size and can be mapped in place.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/tensor_io/atomic_file.h"
#include "lib/tensor_io/dtype.h"
#include "lib/tensor_io/safetensors.h"
#include "lib/tensor_io/tensor_source.h"

namespace sora {

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSource> sources;
  for (const auto& [name, tensor] : tensors) {
    sources.push_back({name, tensor.sizes().vec(), tensor.scalar_type(), nullptr,
                       [tensor = tensor] { return tensor; }});
  }
  write_safetensors(path, std::move(sources), metadata);
}

void write_safetensors(const std::filesystem::path& path, std::vector<TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSource& a, const TensorSource& b) {
    const size_t size_a = c10::elementSize(a.dtype), size_b = c10::elementSize(b.dtype);
    return size_a != size_b ? size_a > size_b : a.name < b.name;
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t position = 0;
  for (const TensorSource& tensor : tensors) {
    const std::string_view dtype = dtype_name(tensor.dtype);
    if (dtype == "?" || tensor.blocks || header.contains(tensor.name) ||
        tensor.name == "__metadata__") {
      fail(ErrorKind::Internal, "{}: tensor \"{}\" has no safetensors dtype, or its name is taken",
           path.string(), tensor.name);
    }
    const int64_t end = position + c10::multiply_integers(tensor.shape) *
                                       static_cast<int64_t>(c10::elementSize(tensor.dtype));
    header[tensor.name] = {
        {"dtype", dtype}, {"shape", tensor.shape}, {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text = to_text(header);
  text.append((kSafetensorsPrefix - text.size() % kSafetensorsPrefix) % kSafetensorsPrefix, ' ');
  if (text.size() > size_t{kMaxSafetensorsHeader}) {
    fail(ErrorKind::Io,
         "{}: the names and metadata need {} bytes, a safetensors file has room for {}",
         path.string(), text.size(), kMaxSafetensorsHeader);
  }

  AtomicFile file(path);
  const uint64_t length = text.size();
  file.write(&length, sizeof length);
  file.write(text.data(), text.size());
  for (const TensorSource& tensor : tensors) {
    const at::Tensor values = tensor.load().detach().to(at::kCPU, tensor.dtype).contiguous();
    file.write(values.const_data_ptr(), values.nbytes());
  }
  file.commit();
}

}  // namespace sora
