// The activations of linear.h that are a product with a sigmoid.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

// z / (1 + exp(-(a z + b z^3))): SiLU for a = 1, the tanh form of GELU for a = sqrt(8/pi), b =
// 0.044715 a; z itself for a = 0.
struct SigmoidGate {
  float a = 0.0F, b = 0.0F;
};

}  // namespace sora::kernels::cpu
