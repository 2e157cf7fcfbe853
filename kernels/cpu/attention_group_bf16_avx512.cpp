#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/attention_group_bf16.h"

namespace sora::kernels::cpu {

int64_t attention_scratch_bf16_avx512(int64_t num_rows, int64_t width) {
  return Group<MultiplyAdds>::scratch_bytes(num_rows, width);
}

void attend_bf16_avx512(const AttentionGroup& group, void* scratch) {
  Group<MultiplyAdds>(group, scratch).run();
}

void pack_keys_bf16_avx512(const uint16_t* keys, int64_t stride, int64_t count, int64_t width,
                           uint16_t* tile) {
  pack_keys(keys, stride, count, width, tile);
}

void pack_values_bf16_avx512(const uint16_t* values, int64_t stride, int64_t count, int64_t width,
                             uint16_t* tile) {
  pack_values(values, stride, count, width, tile);
}

}  // namespace sora::kernels::cpu
