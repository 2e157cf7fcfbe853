#include "lib/tensor_io/tensor_file.h"

namespace sora {

int64_t TensorInfo::num_values() const {
  int64_t values = 1;
  for (const int64_t size : shape) values *= size;
  return values;
}

int64_t TensorInfo::num_bytes() const {
  if (blocks) return num_values() / blocks->num_values * blocks->num_bytes;
  return num_values() * static_cast<int64_t>(c10::elementSize(dtype));
}

}  // namespace sora
