// Keys of attention and columns of a weight as products read them: pairs of numbers of bf16 of 32
// rows side by side. Included by units for one processor each, which keep their own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/lanes.h"

namespace sora::kernels::cpu {
namespace {

// `count` of 32 rows of `width` numbers, `stride` apart: [whole width / 2][32][2], zero beyond
// them.
inline void pack_pairs(const uint16_t* rows, int64_t stride, int64_t count, int64_t width,
                       uint16_t* tile) {
  const int64_t whole = whole_width(width);
  for (int64_t s = 0; s < kKeysInTile; s += kLanes) {
    for (int64_t k = 0; k < whole; k += 2 * kLanes) {
      Words pairs[kLanes];
      for (int64_t i = 0; i < kLanes; ++i)
        pairs[i] = load_pairs(rows + (s + i) * stride + k, s + i < count ? width - k : 0);
      transpose(pairs);
      for (int64_t p = 0; p < kLanes; ++p) store_words(tile + (k / 2 + p) * 64 + 2 * s, pairs[p]);
    }
  }
}

}  // namespace
}  // namespace sora::kernels::cpu
