// A walk through the stages of a ring of buffers, each with a barrier that is passed once a round.
#pragma once

#include "kernels/cuda/device_code.h"

#include <cstdint>

namespace sora::kernels::cuda::hopper {

template <int kStages>
class RingPlace {
 public:
  SORA_DEVICE int stage() const { return static_cast<int>(count_ % kStages); }
  // Of the phase that ends when this round's buffer is full.
  SORA_DEVICE uint32_t parity() const { return count_ / kStages & 1; }
  // A buffer is free once the phase before that has ended; before the first round it is.
  SORA_DEVICE uint32_t parity_of_free() const { return parity() ^ 1; }
  SORA_DEVICE void next() { ++count_; }

 private:
  static_assert((kStages & (kStages - 1)) == 0);
  uint32_t count_ = 0;  // may overflow: a multiple of two rounds
};

}  // namespace sora::kernels::cuda::hopper
