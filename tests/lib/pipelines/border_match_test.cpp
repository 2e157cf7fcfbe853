#include "lib/pipelines/border_match.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace sora {
namespace {

constexpr int64_t kHeight = 16, kWidth = 24;

// A texture as it is, and as a VAE gives it back: without its fine pattern, and a little redder.
at::Tensor texture(int64_t num_frames) {
  const at::Tensor checks_HW =
      (at::arange(kHeight).view({-1, 1}) + at::arange(kWidth)).remainder(2).mul(10).add(100);
  return checks_HW.view({1, kHeight, kWidth, 1})
      .expand({num_frames, -1, -1, 3})
      .to(at::kByte)
      .contiguous();
}
at::Tensor softened(int64_t num_frames) {
  at::Tensor frames = at::full({num_frames, kHeight, kWidth, 3}, 105, at::kByte);
  frames.select(3, 0).fill_(110);
  return frames;
}

at::Tensor matched(const Canvas& window, const at::Tensor& decoded_FHWC, int64_t chunk,
                   int64_t reach = 0) {
  at::Tensor result = at::zeros_like(decoded_FHWC);
  int64_t expected = 0;
  BorderMatch match(
      window,
      [&](int64_t frame, const at::Tensor& frame_HWC) {
        EXPECT_GE(frame, expected);
        expected = frame + 1;
        result[frame].copy_(frame_HWC);
      },
      reach);
  for (int64_t first = 0; first < decoded_FHWC.size(0); first += chunk) {
    match.push(decoded_FHWC.slice(0, first, std::min(first + chunk, decoded_FHWC.size(0))));
  }
  return result;
}

Canvas window_of(int64_t num_frames) {
  return Canvas({kWidth, kHeight}, num_frames, {{{0, num_frames}, "a cat"}});
}

int64_t apart(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kInt) - b.to(at::kInt)).abs().max().item<int64_t>();
}

TEST(BorderMatch, GivesAStillPictureItsDetailAndColourBackOnEitherSide) {
  for (const int64_t chunk : {1, 4}) {
    Canvas after_it = window_of(9);
    after_it.keep(texture(3), 0);
    EXPECT_LE(apart(matched(after_it, softened(9), chunk).slice(0, 3), texture(6)), 1);
    Canvas before_it = window_of(9);
    before_it.keep(texture(3), 6);
    EXPECT_LE(apart(matched(before_it, softened(9), chunk).slice(0, 0, 6), texture(6)), 1);
    Canvas between = window_of(9);
    between.keep(texture(2), 0);
    between.keep(texture(2), 7);
    EXPECT_LE(apart(matched(between, softened(9), chunk).slice(0, 2, 7), texture(5)), 1);
  }
}

TEST(BorderMatch, GivesWhatMovesItsDetailBack) {
  Canvas window = window_of(3);
  const auto striped = [](int64_t start, double low, double high) {  // a square of stripes on grey
    at::Tensor frame = at::full({1, kHeight, kWidth, 3}, 60, at::kByte);
    at::Tensor square = frame.slice(1, 4, 12).slice(2, start, start + 8);
    square.slice(1, 0, 8, 2).fill_(low);
    square.slice(1, 1, 8, 2).fill_(high);
    return frame;
  };
  window.keep(striped(2, 120, 140), 0);
  const at::Tensor decoded =
      at::cat({striped(2, 130, 130), striped(5, 130, 130), striped(8, 130, 130)});
  const at::Tensor made = matched(window, decoded, 3);
  for (const int64_t frame : {1, 2}) {
    const int64_t start = 2 + 3 * frame;
    const auto inside = [&](const at::Tensor& picture_HWC) {
      return picture_HWC.slice(0, 6, 10).slice(1, start + 2, start + 6);
    };
    EXPECT_LE(apart(inside(made[frame]), inside(striped(start, 120, 140)[0])), 2) << frame;
  }
}

TEST(BorderMatch, LetsInWhatElseIsDrawnLittleByLittleAndThenLeavesNoTraceOfTheBorder) {
  constexpr int64_t kKnown = 2, kTaken = 8;
  Canvas window = window_of(13);
  window.keep(texture(kKnown), 0);
  at::Tensor decoded = softened(13);
  decoded.slice(0, kKnown).slice(2, 0, 12).fill_(220);  // an object comes in
  const at::Tensor made = matched(window, decoded, 5);
  const at::Tensor object = made.slice(0, kTaken).slice(2, 0, 9).to(at::kInt);
  for (int64_t channel = 0; channel < 3; ++channel) {
    EXPECT_EQ(object.select(3, channel).max().item<int>(),
              object.select(3, channel).min().item<int>());
    EXPECT_NEAR(object.select(3, channel).max().item<int>(), channel == 0 ? 215 : 220, 1);
  }
  EXPECT_LE(apart(made.slice(0, kKnown).slice(2, 16), texture(11).slice(2, 16)), 1);
  EXPECT_LE(apart(made[kKnown], texture(1)[0]), 25);
  for (int64_t frame = kKnown; frame < kTaken; ++frame)
    EXPECT_LE(apart(made[frame], made[frame - 1]), frame == kKnown ? 255 : 50);
}

TEST(BorderMatch, GoesOnAsTheKnownFramesMoved) {
  const auto square = [](int64_t start) {
    at::Tensor frame = at::full({1, kHeight, kWidth, 3}, 60, at::kByte);
    frame.slice(1, 4, 12).slice(2, start, start + 8).fill_(200);
    return frame;
  };
  const at::Tensor steady = at::cat({square(2), square(4), square(6), square(8)});
  Canvas forward = window_of(5);
  forward.keep(steady.slice(0, 0, 2), 0);
  // The drawing stands still.
  const at::Tensor after =
      matched(forward, at::cat({square(2), square(4), square(4), square(4), square(4)}), 5);
  EXPECT_LE(apart(after[2], steady[2]), 25);
  Canvas backward = window_of(5);
  backward.keep(steady.slice(0, 2), 3);
  const at::Tensor before =
      matched(backward, at::cat({square(6), square(6), square(6), square(6), square(8)}), 5);
  EXPECT_LE(apart(before[2], steady[1]), 25);
}

TEST(BorderMatch, KeepsTheColoursOfWhatStaysPlaceByPlace) {
  Canvas window = window_of(13);
  window.keep(texture(1), 0);
  at::Tensor decoded = texture(13);
  for (int64_t frame = 1; frame < 13; ++frame) {
    decoded[frame].slice(1, 0, kWidth / 2).add_(frame);
    decoded[frame].slice(1, kWidth / 2).sub_(frame);
  }
  const at::Tensor made = matched(window, decoded, 4);
  const auto mean_of = [](const at::Tensor& frames_HWC) {
    return frames_HWC.to(at::kFloat).mean().item<double>();
  };
  EXPECT_NEAR(mean_of(made[12].slice(1, 0, 8)), mean_of(texture(1)[0].slice(1, 0, 8)), 3);
  EXPECT_NEAR(mean_of(made[12].slice(1, 16)), mean_of(texture(1)[0].slice(1, 16)), 3);
}

TEST(BorderMatch, GoesOverFromOneBorderToTheOther) {
  Canvas window = window_of(5);
  window.keep(at::full({1, kHeight, kWidth, 3}, 100, at::kByte), 0);
  window.keep(at::full({1, kHeight, kWidth, 3}, 120, at::kByte), 4);
  const at::Tensor made = matched(window, at::full({5, kHeight, kWidth, 3}, 100, at::kByte), 2);
  for (const auto& [frame, wanted] : {std::pair{1, 105}, {2, 110}, {3, 115}}) {
    EXPECT_EQ(made[frame].min().item<int>(), wanted);
    EXPECT_EQ(made[frame].max().item<int>(), wanted);
  }
}

TEST(BorderMatch, LeavesWhatIsDrawnAsItIsBeyondItsReach) {
  Canvas window = window_of(9);
  window.keep(texture(3), 0);
  constexpr int64_t kReach = 4;
  const at::Tensor made = matched(window, softened(9), 4, kReach);
  EXPECT_LE(apart(made[3], texture(1)[0]), 1);
  int64_t before = 0;
  for (int64_t frame = 3; frame < 3 + kReach; ++frame) {
    const int64_t gone = apart(made[frame], texture(1)[0]);
    EXPECT_GE(gone, before) << frame;
    before = gone;
  }
  EXPECT_TRUE(at::equal(made.slice(0, 3 + kReach), softened(2)));
}

TEST(BorderMatch, WithoutKnownFramesNothingChanges) {
  const at::Tensor decoded = softened(5);
  EXPECT_TRUE(at::equal(matched(window_of(5), decoded, 2), decoded));
}

}  // namespace
}  // namespace sora
