// Canvas frames that have been drawn and are still needed: to be handed over in order, and as the
// context of windows to come.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>

#include "lib/pipelines/windows.h"

namespace sora {

class Reel {
 public:
  // u8 [H,W,3]; the memory is copied.
  void put(int64_t frame, const at::Tensor& frame_HWC);
  bool has(int64_t frame) const { return frames_.count(frame) > 0; }
  at::Tensor read(Stretch frames) const;  // [F,H,W,3]; all of them must be there
  void drop_before(int64_t frame) { frames_.erase(frames_.begin(), frames_.lower_bound(frame)); }
  // The drawn stretches within `frames`, in order.
  std::vector<Stretch> stretches(Stretch frames) const;

 private:
  std::map<int64_t, at::Tensor> frames_;
};

}  // namespace sora
