#include "lib/pipelines/canvas.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/core/error.h"

namespace sora {
namespace {

using ::testing::ElementsAre;

at::Tensor frames(int64_t count, int value) { return at::full({count, 4, 6, 3}, value, at::kByte); }

Canvas canvas_of(int64_t num_frames, const std::string& text = "") {
  return Canvas({6, 4}, num_frames, {{{0, num_frames}, text}});
}

TEST(Canvas, MaskIsOneWhereFramesAreKnown) {
  Canvas canvas = canvas_of(9);
  EXPECT_TRUE(canvas.is_free());
  canvas.keep(frames(2, 7), 7);
  canvas.keep(frames(1, 9), 0);
  EXPECT_FALSE(canvas.is_free());
  EXPECT_TRUE(at::equal(canvas.known_mask(), at::tensor({1, 0, 0, 0, 0, 0, 0, 1, 1}, at::kFloat)));
}

TEST(Canvas, DescribesKnownGuidedAndFreeStretchesInOrder) {
  Canvas canvas({6, 4}, 9, {{{0, 3}, "a ball"}, {{3, 9}, "a star"}});
  canvas.keep(frames(2, 7), 7);
  canvas.keep(frames(1, 9), 0);
  EXPECT_THAT(canvas.describe(), ElementsAre("frames 0-1 known", "frames 1-3 free: a ball",
                                             "frames 3-7 free: a star", "frames 7-9 known"));
  canvas.set_levels(at::full({9}, 0.5, at::kFloat));
  EXPECT_EQ(canvas.describe()[1], "frames 1-3 guided to 0.50: a ball");
}

TEST(Canvas, FramesOutsideOrTwiceAreOurOwnBug) {
  Canvas canvas = canvas_of(5);
  canvas.keep(frames(2, 1), 1);
  EXPECT_THROW(canvas.keep(frames(1, 1), 2), Error);
  EXPECT_THROW(canvas.keep(frames(2, 1), 4), Error);
  EXPECT_THROW(canvas.keep(frames(1, 1), -1), Error);
}

TEST(Canvas, APictureFillsWhatIsFreeOfItsLatentFrame) {
  Canvas canvas = canvas_of(17);
  canvas.keep_picture(frames(1, 5)[0], 0);
  canvas.keep_picture(frames(1, 7)[0], 7);
  canvas.keep(frames(1, 9), 8);
  canvas.keep(frames(1, 3), 10);
  const Canvas whole = canvas.cut({0, 17}).with_whole_pictures(LatentStrides{});
  EXPECT_THAT(whole.describe(),
              ElementsAre("frames 0-1 known", "frames 1-5 free: ", "frames 5-9 known",
                          "frames 9-10 free: ", "frames 10-11 known", "frames 11-17 free: "));
  EXPECT_TRUE(at::equal(whole.read_known({5, 9}), at::cat({frames(3, 7), frames(1, 9)})));
}

TEST(Canvas, AWindowHasItsOwnTimes) {
  Canvas canvas({6, 4}, 20, {{{0, 10}, "a ball"}, {{10, 20}, "a star"}});
  canvas.keep(frames(6, 7), 4);
  const Canvas window = canvas.cut({8, 25});
  EXPECT_EQ(window.num_frames(), 17);
  EXPECT_THAT(window.describe(), ElementsAre("frames 0-2 known", "frames 2-17 free: a star"));
  EXPECT_TRUE(at::equal(window.read_known({0, 2}), frames(2, 7)));
  EXPECT_THROW(window.read_known({0, 3}), Error);
}

}  // namespace
}  // namespace sora
