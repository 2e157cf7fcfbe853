// Headers of safetensors files: what is accepted must cover the data exactly.
#include "lib/tensor_io/safetensors_header.h"

#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(safetensors_header) {
  constexpr int64_t kNumDataBytes = 24;
  const sora::SafetensorsHeader header =
      sora::parse_safetensors_header(bytes, kNumDataBytes, "file");
  int64_t position = 0;
  for (const sora::SafetensorsEntry& entry : header.entries) {
    if (entry.begin != position || entry.end < entry.begin) __builtin_trap();
    position = entry.end;
  }
  if (position != kNumDataBytes) __builtin_trap();
}
