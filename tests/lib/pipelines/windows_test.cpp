#include "lib/pipelines/windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace sora {
namespace {

using ::testing::ElementsAre;

const LatentStrides kStrides;

TEST(Windows, ContextIsAFifthAndWholeLatentFrames) {
  EXPECT_EQ(context_frames(kStrides, 17), 5);
  EXPECT_EQ(context_frames(kStrides, 81), 17);
  EXPECT_EQ(context_frames(kStrides, 121), 25);
  EXPECT_EQ(context_frames(kStrides, 5), 1);
}

TEST(Windows, WhatFitsIsOneWindowRoundedUp) {
  EXPECT_THAT(plan_windows({}, 16, kStrides, 17), ElementsAre(Window{{0, 17}, {0, 16}}));
  EXPECT_THAT(plan_windows({{0, 1}, {15, 16}}, 16, kStrides, 17),
              ElementsAre(Window{{0, 17}, {0, 16}}));
}

TEST(Windows, WhatIsKnownNeedsNone) {
  EXPECT_TRUE(plan_windows({{0, 40}}, 40, kStrides, 17).empty());
}

TEST(Windows, ALongClipIsDrawnFromLeftToRightWithContext) {
  EXPECT_THAT(plan_windows({}, 41, kStrides, 17),
              ElementsAre(Window{{0, 17}, {0, 17}}, Window{{12, 29}, {17, 29}},
                          Window{{24, 41}, {29, 41}}));
}

TEST(Windows, TheLastWindowSeesMoreInsteadOfReachingPastTheEnd) {
  EXPECT_THAT(plan_windows({{0, 30}}, 41, kStrides, 17), ElementsAre(Window{{24, 41}, {30, 41}}));
}

TEST(Windows, WindowsOfAnExtensionAreOfEqualSizeAndSeeAsMuchAsTheyCan) {
  EXPECT_THAT(plan_windows({{0, 17}}, 33, kStrides, 17),
              ElementsAre(Window{{8, 25}, {17, 25}}, Window{{16, 33}, {25, 33}}));
}

TEST(Windows, AGapIsClosedWithWhatFollowsIt) {
  EXPECT_THAT(plan_windows({{0, 20}, {28, 60}}, 60, kStrides, 17),
              ElementsAre(Window{{15, 32}, {20, 28}}));
}

TEST(Windows, ABeginningIsDrawnBackwardFromWhatFollowsIt) {
  EXPECT_THAT(plan_windows({{26, 60}}, 60, kStrides, 17),
              ElementsAre(Window{{13, 30}, {13, 26}}, Window{{0, 17}, {0, 13}}));
}

// Whatever is known: windows are legal, each free frame is drawn once, and what a window is drawn
// next to is known by then.
TEST(Windows, EveryFreeFrameIsDrawnOnceNextToWhatIsKnown) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    const int64_t max_frames = 4 * static_cast<int64_t>(1 + random() % 20) + 1;
    const int64_t num_frames = 1 + static_cast<int64_t>(random() % 200);
    std::vector<Stretch> known;
    for (int64_t at = static_cast<int64_t>(random() % 30); at < num_frames;
         at += 1 + static_cast<int64_t>(random() % 60)) {
      const int64_t stop = std::min(num_frames, at + 1 + static_cast<int64_t>(random() % 40));
      known.push_back({at, stop});
      at = stop;
    }
    std::vector<int> is_known(static_cast<size_t>(num_frames), 0);
    for (const Stretch& stretch : known) {
      for (int64_t frame = stretch.start; frame < stretch.stop; ++frame)
        is_known[static_cast<size_t>(frame)] = 1;
    }
    for (const Window& window : plan_windows(known, num_frames, kStrides, max_frames)) {
      const std::string where = ::testing::PrintToString(round);
      EXPECT_EQ((window.frames.size() - 1) % 4, 0) << where;
      EXPECT_LE(window.frames.size(), max_frames) << where;
      EXPECT_GE(window.frames.start, 0) << where;
      EXPECT_LE(window.frames.start, window.draws.start) << where;
      EXPECT_GE(window.frames.stop, window.draws.stop) << where;
      for (int64_t frame = window.draws.start; frame < window.draws.stop; ++frame)
        ++is_known[static_cast<size_t>(frame)];
    }
    for (int64_t frame = 0; frame < num_frames; ++frame)
      EXPECT_GE(is_known[static_cast<size_t>(frame)], 1) << round;
  }
}

}  // namespace
}  // namespace sora
