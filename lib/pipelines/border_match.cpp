#include "lib/pipelines/border_match.h"

#include <ATen/ATen.h>

#include <cmath>

namespace sora {
namespace {

// Levels of 255 by which a pixel may differ from the border's and still be the same thing: above the VAE's flicker, below
// what an object does that comes or goes.
constexpr double kSameWithin = 10;
// Side of the square over which that is judged.
constexpr int64_t kNeighbourhood = 5;

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
  const at::Tensor decoded_HWC = drawn.frame_HWC.to(at::kFloat);
  const at::Tensor none = at::zeros({1}, at::kFloat);
  double share = after ? 1.0 : 0.0;  // of the border after it
  if (before && after) {
    share = static_cast<double>(drawn.frame - before->frame) / static_cast<double>(after->frame - before->frame);
  }
  const at::Tensor like_before = before ? likeness(decoded_HWC, before->decoded_HWC) : none;
  const at::Tensor like_after = after ? likeness(decoded_HWC, after->decoded_HWC) : none;
  const at::Tensor weight_before = like_before * (1 - share), weight_after = like_after * share;
  const at::Tensor detail = ((before ? weight_before * before->detail_HWC : none) + (after ? weight_after * after->detail_HWC : none)) /
                            (weight_before + weight_after).clamp_min(1e-6);
  const at::Tensor shift = (before ? (1 - share) * before->shift_3 : none) + (after ? share * after->shift_3 : none);
  return (decoded_HWC + at::maximum(like_before, like_after) * detail + shift).round_().clamp_(0, 255).to(at::kByte);
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
