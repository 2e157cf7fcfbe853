#include "lib/pipelines/border_match.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lib/pipelines/motion_search.h"

namespace sora {
namespace {

// Levels of 255 by which a pixel may differ from the border's and still be the same thing: above the VAE's flicker, below
// what an object does that comes or goes.
constexpr double kSameWithin = 20;
// Side of the square over which that is judged.
constexpr int64_t kNeighbourhood = 5;
// Frames over which the drawing takes over from the border's own picture: a VAE flickers most from one of its chunks to the
// next, and a border often lies there.
constexpr double kHeldFrames = 9;

// [H,W,1]: 1 where both pictures show the same, 0 where they do not.
at::Tensor likeness(const at::Tensor& a_HWC, const at::Tensor& b_HWC) {
  const at::Tensor apart_HW = (a_HWC - b_HWC).abs().amax(-1);
  const at::Tensor around_HW =
      at::avg_pool2d(apart_HW.view({1, 1, apart_HW.size(0), apart_HW.size(1)}), kNeighbourhood, 1, kNeighbourhood / 2,
                     /*ceil_mode=*/false, /*count_include_pad=*/false)[0][0];
  return (-(around_HW / kSameWithin).square()).exp().unsqueeze(-1);
}

}  // namespace

BorderMatch::BorderMatch(const Canvas& window, TakeFrame take_free)
    : window_(window), take_free_(std::move(take_free)), known_(static_cast<size_t>(window.num_frames()), false) {
  for (const Canvas::Known& known : window.known()) {
    for (int64_t frame = known.frames.start; frame < known.frames.stop; ++frame) known_[static_cast<size_t>(frame)] = true;
    last_known_ = std::max(last_known_, known.frames.stop - 1);
  }
}

bool BorderMatch::is_known(int64_t frame) const {
  return frame >= 0 && frame < window_.num_frames() && known_[static_cast<size_t>(frame)];
}

BorderMatch::Border BorderMatch::border_at(int64_t frame, const at::Tensor& decoded_HWC) const {
  Border border;
  border.frame = frame;
  border.decoded_HWC = decoded_HWC.to(at::kFloat);
  const at::Tensor missing_HWC = window_.read_known({frame, frame + 1})[0].to(at::kFloat) - border.decoded_HWC;
  border.shift_3 = missing_HWC.mean(at::IntArrayRef{0, 1});
  border.detail_HWC = missing_HWC - border.shift_3;
  return border;
}

at::Tensor BorderMatch::matched(const Drawn& drawn, const Border* after) const {
  const Border* before = before_ ? &*before_ : nullptr;
  if (!before && !after) return drawn.frame_HWC;
  const at::Tensor drawn_HWC = drawn.frame_HWC.to(at::kFloat);
  const double length = before && after ? static_cast<double>(after->frame - before->frame) : 0;
  at::Tensor sum_HWC = at::zeros({1}, at::kFloat), total_HW1 = sum_HWC, most_HW1 = sum_HWC, shift_3 = sum_HWC;
  for (const Border* border : {before, after}) {
    if (!border) continue;
    const auto distance = static_cast<double>(std::abs(drawn.frame - border->frame));
    const double share = length > 0 ? 1 - distance / length : 1;
    const Motion motion = find_motion(border->decoded_HWC, drawn_HWC);
    const at::Tensor carried_HWC = motion.carry(border->decoded_HWC);
    const at::Tensor like_HW1 = likeness(drawn_HWC, carried_HWC);
    const double held = std::max(0.0, 1 - distance / kHeldFrames);
    const at::Tensor missing_HWC = motion.carry(border->detail_HWC) + held * (carried_HWC - drawn_HWC);
    const at::Tensor weight_HW1 = like_HW1 * (share * share);
    sum_HWC = sum_HWC + weight_HW1 * missing_HWC;
    total_HW1 = total_HW1 + weight_HW1;
    most_HW1 = at::maximum(most_HW1, like_HW1);
    shift_3 = shift_3 + share * border->shift_3;
  }
  return (drawn_HWC + most_HW1 * sum_HWC / total_HW1.clamp_min(1e-6) + shift_3).round_().clamp_(0, 255).to(at::kByte);
}

void BorderMatch::hand_on_held(const Border* after) {
  for (const Drawn& drawn : held_) take_free_(drawn.frame, matched(drawn, after));
  held_.clear();
}

void BorderMatch::push(const at::Tensor& frames_FHWC) {
  for (int64_t i = 0; i < frames_FHWC.size(0); ++i, ++next_) {
    if (!is_known(next_)) {
      held_.push_back({next_, last_known_ > next_ ? frames_FHWC[i].clone() : frames_FHWC[i]});
      if (last_known_ < next_) hand_on_held(nullptr);
      continue;
    }
    const bool ends_gap = !held_.empty(), begins_gap = next_ + 1 < window_.num_frames() && !is_known(next_ + 1);
    if (!ends_gap && !begins_gap) continue;
    Border border = border_at(next_, frames_FHWC[i]);
    if (ends_gap) hand_on_held(&border);
    before_ = std::move(border);
  }
}

}  // namespace sora
