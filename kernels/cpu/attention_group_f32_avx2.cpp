#include <cstdint>

namespace {
constexpr int64_t kLanes = 8, kRowsInRegisters = 6;
}
#include "kernels/cpu/attention_group_f32.h"

namespace sora::kernels::cpu {

void attend_f32_avx2(const AttentionGroup& group, void* scratch) { Group(group, scratch).run(); }

}  // namespace sora::kernels::cpu
