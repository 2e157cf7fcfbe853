#include "lib/pipelines/frame_ring.h"

#include <ATen/ATen.h>

#include <exception>
#include <utility>

namespace sora {
namespace {

// Chunks that the device has been given beyond the one that the CPU is at: one that it computes,
// and one for it to go on with.
constexpr size_t kAhead = 2;

}  // namespace

FrameRing::~FrameRing() {
  try {
    for (const OnTheWay& chunk : on_the_way_) chunk.copied.synchronize();
  } catch (const std::exception&) {
    // The device has failed, which is what is being thrown already.
  }
}

at::Tensor FrameRing::pinned_memory(int64_t bytes) {
  if (!free_.empty()) {
    at::Tensor memory = std::move(free_.back());
    free_.pop_back();
    if (memory.numel() >= bytes) return memory;
  }
  return at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(true));
}

void FrameRing::push(const at::Tensor& frames_FHWC) {
  if (frames_FHWC.is_cpu()) return take_(frames_FHWC);
  if (!copies_) copies_.emplace(frames_FHWC.device());
  const at::Tensor pinned_N = pinned_memory(frames_FHWC.numel());
  copies_->mark();
  copies_->run([&] {
    pinned_N.narrow(0, 0, frames_FHWC.numel())
        .view(frames_FHWC.sizes())
        .copy_(frames_FHWC, /*non_blocking=*/true);
  });
  on_the_way_.push_back({frames_FHWC, pinned_N, copies_->end()});
  if (on_the_way_.size() > kAhead) hand_on();
}

// The frames leave the pinned memory, which the next chunk is copied into while the writer still
// has these.
void FrameRing::hand_on() {
  on_the_way_.front().copied.synchronize();
  const OnTheWay chunk = std::move(on_the_way_.front());
  on_the_way_.pop_front();
  const at::Tensor frames_FHWC = chunk.pinned_N.narrow(0, 0, chunk.frames_FHWC.numel())
                                     .view(chunk.frames_FHWC.sizes())
                                     .clone();
  free_.push_back(chunk.pinned_N);
  take_(frames_FHWC);
}

void FrameRing::finish() {
  while (!on_the_way_.empty()) hand_on();
}

}  // namespace sora
