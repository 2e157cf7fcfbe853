// A walk through the stages of a ring of buffers, each with a barrier that is passed once a round.
#pragma once

#include "kernels/cuda/device_code.h"

#include <cstdint>

namespace sora::kernels::cuda::hopper {

template <int kStages>
struct RingPlace {
  int stage = 0;
  uint32_t parity = 0;  // of the phase that ends when this round's buffer is full
  // A buffer is free once the phase before that has ended; before the first round it is.
  SORA_DEVICE uint32_t parity_of_free() const { return parity ^ 1; }
  SORA_DEVICE void next() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

}  // namespace sora::kernels::cuda::hopper
