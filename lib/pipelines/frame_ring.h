// Frames on their way from the device that decodes them to the CPU that shapes and encodes them.
//
// Note [Frames in flight]
// A device computes its operators after they were given to it. To copy frames into ordinary memory
// would be to wait for all of them, and the device would then wait while the CPU hands the frames
// on. So each chunk is copied on a second stream, behind what makes it, into pinned memory, and is
// handed on when the chunks after it have been given to the device: those are decoded, and copied,
// while the CPU resizes, converts and encodes this one. Until its copy has been waited for, neither
// end of it is touched: its tensor on the device stays alive and its pinned memory is its own.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "lib/nn/side_stream.h"

namespace sora {

class FrameRing {
 public:
  using TakeFrames = std::function<void(const at::Tensor& frames_FHWC)>;

  // `take` is given every chunk in order, on the CPU, in memory of its own.
  explicit FrameRing(TakeFrames take) : take_(std::move(take)) {}
  // Waits for what is on the way, and hands it on no more.
  ~FrameRing();
  FrameRing(const FrameRing&) = delete;
  FrameRing& operator=(const FrameRing&) = delete;

  // u8 [F,H,W,3], which the caller's stream makes. Frames of the CPU are handed on at once; of a
  // device, those before the last ones pushed.
  void push(const at::Tensor& frames_FHWC);
  // Hands on all that are still on the way.
  void finish();

 private:
  struct OnTheWay {
    at::Tensor frames_FHWC;  // on the device
    at::Tensor pinned_N;     // as many bytes or more
    c10::Event copied;
  };

  at::Tensor pinned_memory(int64_t bytes);
  void hand_on();

  TakeFrames take_;
  std::optional<SideStream> copies_;
  std::deque<OnTheWay> on_the_way_;
  std::vector<at::Tensor> free_;  // pinned memory
};

}  // namespace sora
