#include "lib/pipelines/border_match.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sora {
namespace {

// Levels of 255 by which a pixel may differ from the border's and still be the same thing: above
// the VAE's flicker, below what an object does that comes or goes.
constexpr double kSameWithin = 20;
// Levels of 255 that a VAE errs by at the most in what it drew itself; more beside an outline is a
// trace of what was there.
constexpr double kOwnError = 6;
// Side of the square over which that is judged.
constexpr int64_t kNeighbourhood = 5;
// Frames over which what the drawing changes in things that stay the same is let in: a VAE flickers
// most from one of its chunks to the next, and a border often lies there.
constexpr double kHeldFrames = 9;
// Frames over which detail that is carried along with what moves wears off: it is right for a
// while, and where it is not, it would be in the next border's detail too.
constexpr double kMovedFrames = 8;
// Frames over which the drawing takes over from the known frames' own motion.
constexpr double kOnwardFrames = 6;
// Places of a picture, a side, whose colours are compared.
constexpr int64_t kPlaces = 8;
// Likeness, of 1, below which a place has no colour of its own to compare and takes the whole
// picture's.
constexpr double kLeastLikeness = 0.05;

// [H,W,1]: 1 where both pictures show the same, 0 where they do not.
at::Tensor likeness(const at::Tensor& a_HWC, const at::Tensor& b_HWC) {
  const at::Tensor apart_HW = (a_HWC - b_HWC).abs().amax(-1);
  const at::Tensor around_HW =
      at::avg_pool2d(apart_HW.view({1, 1, apart_HW.size(0), apart_HW.size(1)}), kNeighbourhood, 1,
                     kNeighbourhood / 2,
                     /*ceil_mode=*/false, /*count_include_pad=*/false)[0][0];
  return (-(around_HW / kSameWithin).square()).exp().unsqueeze(-1);
}

// The shift of colour that the picture has as a whole, [3]: the middle of the quartiles, so that
// what the VAE makes of one object does not tint all the rest.
at::Tensor common_shift(const at::Tensor& missing_HWC) {
  const at::Tensor quartiles = at::tensor({0.25F, 0.75F});
  return at::quantile(missing_HWC.reshape({-1, 3}), quartiles, 0).mean(0);
}

// By how much each place of `drawn_HWC` has other colours than the same thing had at the border,
// [H,W,3], smooth.
at::Tensor colour_drift(const at::Tensor& border_HWC, const at::Tensor& drawn_HWC) {
  const at::Tensor like_HW1 = likeness(drawn_HWC, border_HWC);
  const at::Tensor weighed_1CHW =
      at::cat({(border_HWC - drawn_HWC) * like_HW1, like_HW1}, 2).permute({2, 0, 1}).unsqueeze(0);
  const at::Tensor cells_1CHW = at::adaptive_avg_pool2d(weighed_1CHW, {kPlaces, kPlaces});
  const at::Tensor around_1CHW =
      at::avg_pool2d(cells_1CHW, 3, 1, 1, /*ceil_mode=*/false, /*count_include_pad=*/false);
  const at::Tensor all_1C11 = weighed_1CHW.mean(at::IntArrayRef{2, 3}, true);
  const at::Tensor mean_1C11 =
      all_1C11.slice(1, 0, 3) / all_1C11.slice(1, 3).clamp_min(kLeastLikeness);
  const at::Tensor drift_1CHW = (around_1CHW.slice(1, 0, 3) + kLeastLikeness * mean_1C11) /
                                (around_1CHW.slice(1, 3) + kLeastLikeness);
  return at::upsample_bilinear2d(drift_1CHW, {drawn_HWC.size(0), drawn_HWC.size(1)}, false)[0]
      .permute({1, 2, 0});
}

}  // namespace

BorderMatch::BorderMatch(const Canvas& window, TakeFrame take_free, int64_t reach)
    : window_(window),
      take_free_(std::move(take_free)),
      reach_(reach),
      known_(static_cast<size_t>(window.num_frames()), false) {
  for (const Canvas::Known& known : window.known()) {
    for (int64_t frame = known.frames.start; frame < known.frames.stop; ++frame)
      known_[static_cast<size_t>(frame)] = true;
    last_known_ = std::max(last_known_, known.frames.stop - 1);
  }
}

bool BorderMatch::is_known(int64_t frame) const {
  return frame >= 0 && frame < window_.num_frames() && known_[static_cast<size_t>(frame)];
}

BorderMatch::Border BorderMatch::border_at(int64_t frame, int64_t before,
                                           const at::Tensor& decoded_HWC) const {
  const auto read = [&](int64_t known) {
    return window_.read_known({known, known + 1})[0].to(at::kFloat);
  };
  Border border;
  border.frame = frame;
  border.known_HWC = read(frame);
  border.decoded_HWC = decoded_HWC.to(at::kFloat);
  const at::Tensor missing_HWC = border.known_HWC - border.decoded_HWC;
  border.shift_3 = common_shift(missing_HWC);
  border.detail_HWC = missing_HWC - border.shift_3;
  if (reach_ == 0 && is_known(before)) {
    border.onward_HWC =
        extrapolate(read(before), border.known_HWC, static_cast<int64_t>(kOnwardFrames));
  }
  return border;
}

BorderMatch::Correction BorderMatch::correction_at(const Border& border,
                                                   const at::Tensor& drawn_HWC,
                                                   double distance) const {
  Correction found;
  found.motion = reach_ > 0 ? no_motion(drawn_HWC.size(0), drawn_HWC.size(1))
                            : find_motion(border.decoded_HWC, drawn_HWC);
  const at::Tensor carried_HWC = found.motion.carry(border.decoded_HWC);
  const at::Tensor drift_HWC = colour_drift(carried_HWC, drawn_HWC);
  found.like_HW1 = likeness(drawn_HWC + drift_HWC, carried_HWC);
  const double held = std::max(0.0, 1 - distance / kHeldFrames);
  const double fresh = std::max(0.0, 1 - (distance - 1) / kMovedFrames);
  const double lasting =
      reach_ > 0 ? std::max(0.0, 1 - (distance - 1) / static_cast<double>(reach_)) : 1;
  const at::Tensor detail_HWC = found.motion.carry(border.detail_HWC) *
                                at::where(found.motion.moved(), fresh, 1.0).unsqueeze(-1);
  found.missing_HWC = lasting * (detail_HWC + held * (carried_HWC - drawn_HWC - drift_HWC));
  if (reach_ > 0) found.missing_HWC.clamp_(-kOwnError, kOwnError);
  found.colour_HWC = lasting * (border.shift_3 + drift_HWC);
  return found;
}

at::Tensor BorderMatch::matched(const Drawn& drawn, const Border* after) const {
  const Border* before = before_ ? &*before_ : nullptr;
  if (!before && !after) return drawn.frame_HWC;
  if (!after && reach_ > 0 && drawn.frame - before->frame > reach_) return drawn.frame_HWC;
  const at::Tensor drawn_HWC = drawn.frame_HWC.to(at::kFloat);
  const double length = before && after ? static_cast<double>(after->frame - before->frame) : 0;
  // In a short gap the drawing still has its own middle.
  const double onward_frames =
      length > 0 ? std::min(kOnwardFrames, (length + 1) / 2) : kOnwardFrames;
  const at::Tensor none = at::zeros({1}, at::kFloat);
  at::Tensor sum_HWC = none, total_HW1 = none, most_HW1 = none, colour_HWC = none;
  at::Tensor onward_HWC = none;
  double onward_share = 0;
  for (const Border* border : {before, after}) {
    if (!border) continue;
    const int64_t frames_away = std::abs(drawn.frame - border->frame);
    const auto distance = static_cast<double>(frames_away);
    const double share = length > 0 ? 1 - distance / length : 1;
    const Correction correction = correction_at(*border, drawn_HWC, distance);
    const at::Tensor weight_HW1 = correction.like_HW1 * (share * share);
    sum_HWC = sum_HWC + weight_HW1 * correction.missing_HWC;
    total_HW1 = total_HW1 + weight_HW1;
    most_HW1 = at::maximum(most_HW1, correction.like_HW1);
    colour_HWC = colour_HWC + share * correction.colour_HWC;
    if (distance < onward_frames && !border->onward_HWC.empty()) {
      const double early = (1 + std::cos(std::numbers::pi * distance / onward_frames)) / 2;
      // On the way to where the drawing has the things.
      const at::Tensor& gone_on_HWC = border->onward_HWC[static_cast<size_t>(frames_away - 1)];
      onward_HWC = onward_HWC +
                   early * at::lerp(correction.motion.carry(border->known_HWC), gone_on_HWC, early);
      onward_share += early;
    }
  }
  const at::Tensor own_HWC =
      drawn_HWC + most_HW1 * sum_HWC / total_HW1.clamp_min(1e-6) + colour_HWC;
  return (onward_HWC + (1 - onward_share) * own_HWC).round_().clamp_(0, 255).to(at::kByte);
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
    const bool ends_gap = !held_.empty(),
               begins_gap = next_ + 1 < window_.num_frames() && !is_known(next_ + 1);
    if (!ends_gap && !begins_gap) continue;
    if (ends_gap) {
      const Border border = border_at(next_, next_ + 1, frames_FHWC[i]);
      hand_on_held(&border);
    }
    if (begins_gap) before_ = border_at(next_, next_ - 1, frames_FHWC[i]);
  }
}

}  // namespace sora
