// The frame rate half of resample.h: frames at other times, taken from the source or interpolated
// between two of it.
#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "lib/core/error.h"
#include "lib/media/motion_interpolator.h"
#include "lib/media/resample.h"

namespace sora {
namespace {

// A point of the source's timeline: `index` whole frames and num / den of the way to the next one.
struct Position {
  int64_t index, num, den;
};

constexpr int64_t kMinMotionSide = 32;

// num_frames * (to / from) and its inverse reach 10^6 * 10^6 * 10^6: more than 64 bits.
__extension__ using Wide = __int128;

}  // namespace

int64_t resampled_frames(int64_t num_frames, Rational from, Rational to) {
  const Wide num = Wide{num_frames} * from.den * to.num, den = Wide{from.num} * to.den;
  return std::max<int64_t>(static_cast<int64_t>((2 * num + den) / (2 * den)),
                           num_frames > 0 ? 1 : 0);
}

class FrameRateConverter::Impl {
 public:
  Impl(Rational from, Rational to, RateMethod method, std::vector<int64_t> cuts)
      : from_(from), to_(to), method_(method), cuts_(std::move(cuts)) {
    if (from.num < 1 || to.num < 1) {
      fail(ErrorKind::Usage, "frames cannot be brought from {} to {} a second", to_string(from),
           to_string(to));
    }
  }

  at::Tensor push(const at::Tensor& frames_FHWC) {
    if (!empty_.defined()) empty_ = frames_FHWC.narrow(0, 0, 0);
    if (frames_FHWC.size(0) == 0 || from_ == to_) return frames_FHWC;
    // The motion search has blocks of 16 pixels and looks around them.
    if (std::min(frames_FHWC.size(1), frames_FHWC.size(2)) < kMinMotionSide &&
        method_ == RateMethod::Motion) {
      method_ = RateMethod::Blend;
    }
    if (method_ == RateMethod::Motion && !motion_) {
      motion_.emplace(frames_FHWC.size(2), frames_FHWC.size(1), from_, to_);
    }
    for (int64_t f = 0; f < frames_FHWC.size(0); ++f) {
      kept_.push_back(frames_FHWC[f]);
      ++pushed_;
      if (motion_) motion_->push(kept_.back());
      advance(false);
    }
    return take();
  }

  at::Tensor finish() {
    if (pushed_ == 0) return take();
    if (motion_) motion_->finish();
    advance(true);
    if (made_ < resampled_frames(pushed_, from_, to_)) {
      fail(ErrorKind::Internal, "motion interpolation ended after {} frames", made_);
    }
    return take();
  }

 private:
  Position position(int64_t output) const {
    const Wide num = Wide{output} * to_.den * from_.num, den = Wide{to_.num} * from_.den;
    return {static_cast<int64_t>(num / den), static_cast<int64_t>(num % den),
            static_cast<int64_t>(den)};
  }

  // The first cut between this source frame and the end of the next one.
  std::optional<int64_t> cut_after(int64_t index) const {
    for (const int64_t cut : cuts_) {
      const Position at = position(cut);
      if (at.index + (at.num > 0) == index + 1) return cut;
    }
    return {};
  }

  const at::Tensor& source(int64_t index) const {
    return kept_.at(static_cast<size_t>(std::clamp(index, first_kept_, pushed_ - 1) - first_kept_));
  }

  // Makes every output frame that the source frames so far decide; all of them after the last.
  void advance(bool at_end) {
    for (;;) {
      const Position at = position(made_);
      if (at_end ? made_ >= resampled_frames(pushed_, from_, to_)
                 : at.index + (at.num > 0) > pushed_ - 1)
        return;
      at::Tensor frame;
      if (at.num == 0 || at.index >= pushed_ - 1) {
        frame = source(at.index);
      } else if (const auto cut = cut_after(at.index)) {
        frame = source(made_ < *cut ? at.index : at.index + 1);
      } else if (method_ == RateMethod::Blend) {
        const double weight = double(at.num) / double(at.den);
        frame = source(at.index)
                    .to(at::kFloat)
                    .lerp(source(at.index + 1).to(at::kFloat), weight)
                    .round()
                    .to(at::kByte);
      } else {
        frame = interpolated(made_);
        if (!frame.defined()) return;
      }
      ready_.push_back(frame);
      ++made_;
      for (; first_kept_ < position(made_).index && kept_.size() > 1; ++first_kept_)
        kept_.pop_front();
    }
  }

  at::Tensor interpolated(int64_t output) {
    while (motion_frame_.first < output) {
      motion_frame_ = motion_->pull();
      if (!motion_frame_.second.defined()) {
        motion_frame_.first = -1;
        return {};
      }
    }
    if (motion_frame_.first > output)
      fail(ErrorKind::Internal, "motion interpolation left out frame {}", output);
    return motion_frame_.second;
  }

  at::Tensor take() {
    if (ready_.empty()) return empty_.defined() ? empty_ : at::empty({0, 0, 0, 3}, at::kByte);
    at::Tensor frames = at::stack(ready_);
    ready_.clear();
    return frames;
  }

  Rational from_, to_;
  RateMethod method_;
  std::vector<int64_t> cuts_;
  std::optional<MotionInterpolator> motion_;
  std::pair<int64_t, at::Tensor> motion_frame_{-1, {}};
  std::deque<at::Tensor> kept_;  // source frames from first_kept_ to pushed_
  int64_t first_kept_ = 0;
  int64_t pushed_ = 0;
  int64_t made_ = 0;
  std::vector<at::Tensor> ready_;
  at::Tensor empty_;  // no frames, of the right size
};

FrameRateConverter::FrameRateConverter(Rational from, Rational to, RateMethod method,
                                       std::vector<int64_t> cuts)
    : impl_(std::make_unique<Impl>(from, to, method, std::move(cuts))) {}
FrameRateConverter::~FrameRateConverter() = default;
FrameRateConverter::FrameRateConverter(FrameRateConverter&&) noexcept = default;
FrameRateConverter& FrameRateConverter::operator=(FrameRateConverter&&) noexcept = default;
at::Tensor FrameRateConverter::push(const at::Tensor& frames_FHWC) {
  return impl_->push(frames_FHWC);
}
at::Tensor FrameRateConverter::finish() { return impl_->finish(); }

}  // namespace sora
