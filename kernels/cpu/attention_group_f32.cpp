// For any processor; and packing, which is the same for all.
#include <cstdint>

namespace {
constexpr int64_t kLanes = 4, kRowsInRegisters = 6;
}
#include "kernels/cpu/attention_group_f32.h"

namespace sora::kernels::cpu {

int64_t attention_scratch_f32(int64_t num_rows, int64_t width) {
  const int64_t whole = whole_width(width);
  const int64_t block = static_cast<int64_t>(sizeof(Block)) + kRows * whole * 4;
  return kTilesInChunk * kRows * kKeysInTile * 4 + kRows * whole * 4 +
         (num_rows + kRows - 1) / kRows * block;
}

void attend_f32(const AttentionGroup& group, void* scratch) { Group(group, scratch).run(); }

void pack_keys_f32(const float* keys, int64_t stride, int64_t count, int64_t width, float* tile) {
  for (int64_t k = 0; k < whole_width(width); ++k) {
    for (int64_t s = 0; s < kKeysInTile; ++s)
      tile[k * kKeysInTile + s] = s < count && k < width ? keys[s * stride + k] : 0.0F;
  }
}

void pack_values_f32(const float* values, int64_t stride, int64_t count, int64_t width,
                     float* tile) {
  for (int64_t k = 0; k < whole_width(width); ++k) {
    float* column = tile + k / 32 * kTile + k % 32;
    for (int64_t s = 0; s < kKeysInTile; ++s)
      column[s * 32] = s < count && k < width ? values[s * stride + k] : 0.0F;
  }
}

}  // namespace sora::kernels::cpu
