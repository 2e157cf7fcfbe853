// Symmetric rounding to int8: a row, or a column, is counted in steps of a 127th of its largest
// magnitude.
#pragma once

namespace sora::kernels::cpu {

constexpr float kInt8Most = 127.0F;
constexpr float kInt8Least = 1e-30F;  // largest magnitudes below it count as 0

struct Int8Step {
  float size;     // 0 where every number counts as 0
  float inverse;  // likewise
};

// `largest`: magnitude, at least 0; a NaN gives NaNs.
static inline Int8Step int8_step(float largest) {
  if (largest < kInt8Least) return {0.0F, 0.0F};
  return {largest / kInt8Most, kInt8Most / largest};
}

}  // namespace sora::kernels::cpu
