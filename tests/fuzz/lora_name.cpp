// Names of tensors in LoRA files, one a line: the module is a part of the name.
#include "lib/tensor_io/lora_name.h"

#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(lora_name) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view name = bytes.substr(0, end);
    bytes = end == std::string_view::npos ? std::string_view() : bytes.substr(end + 1);
    const sora::LoraName parts = sora::parse_lora_name(name, "lora.safetensors");
    if (name.find(parts.module) == std::string_view::npos) __builtin_trap();
    if (parts.module.size() >= name.size() && !name.empty()) __builtin_trap();
  }
}
