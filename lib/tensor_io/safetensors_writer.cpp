// Tensors lie in the order of falling element size, then of names, behind a header padded to 8
// bytes, so that each begins at a multiple of its element size and can be mapped in place.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/tensor_io/atomic_file.h"
#include "lib/tensor_io/dtype.h"
#include "lib/tensor_io/safetensors.h"

namespace sora {

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  auto ordered = tensors;
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    if (a.second.element_size() != b.second.element_size())
      return a.second.element_size() > b.second.element_size();
    return a.first < b.first;
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t position = 0;
  for (const auto& [name, tensor] : ordered) {
    const std::string_view dtype = dtype_name(tensor.scalar_type());
    if (dtype == "?" || header.contains(name) || name == "__metadata__") {
      fail(ErrorKind::Internal, "{}: tensor \"{}\" has no safetensors dtype, or its name is taken",
           path.string(), name);
    }
    const int64_t end = position + static_cast<int64_t>(tensor.nbytes());
    header[name] = {
        {"dtype", dtype}, {"shape", tensor.sizes().vec()}, {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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
  for (const auto& [name, tensor] : ordered) {
    const at::Tensor contiguous = tensor.detach().to(at::kCPU).contiguous();
    file.write(contiguous.const_data_ptr(), contiguous.nbytes());
  }
  file.commit();
}

}  // namespace sora
