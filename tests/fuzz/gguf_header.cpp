// Headers of GGUF files: what is accepted lies inside the file, in order, and is as large as its
// shape.
#include "lib/tensor_io/gguf_header.h"

#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(gguf_header) {
  const sora::GgufHeader header = sora::parse_gguf_header(bytes, "file");
  int64_t position = 0;
  for (const sora::GgufTensor& tensor : header.tensors) {
    int64_t values = 1;
    for (const int64_t side : tensor.shape) values *= side;
    const int64_t size = tensor.blocks
                             ? values / tensor.blocks->num_values * tensor.blocks->num_bytes
                             : values * static_cast<int64_t>(c10::elementSize(tensor.dtype));
    if (tensor.begin < position || tensor.end - tensor.begin != size) __builtin_trap();
    if (tensor.end > static_cast<int64_t>(bytes.size())) __builtin_trap();
    position = tensor.end;
  }
}
