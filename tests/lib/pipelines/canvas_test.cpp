#include "lib/pipelines/canvas.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/core/error.h"
#include "lib/pipelines/splice.h"

namespace sora {
namespace {

using ::testing::ElementsAre;

at::Tensor frames(int64_t count, int value) { return at::full({count, 4, 6, 3}, value, at::kByte); }

TEST(Canvas, MaskIsOneWhereFramesAreKnown) {
  Canvas canvas({6, 4}, 9, "text");
  EXPECT_TRUE(canvas.is_free());
  canvas.keep(frames(2, 7), 7);
  canvas.keep(frames(1, 9), 0);
  EXPECT_FALSE(canvas.is_free());
  EXPECT_TRUE(at::equal(canvas.known_mask(), at::tensor({1, 0, 0, 0, 0, 0, 0, 1, 1}, at::kFloat)));
}

TEST(Canvas, DescribesKnownAndFreeStretchesInOrder) {
  Canvas canvas({6, 4}, 9, "a ball");
  canvas.keep(frames(2, 7), 7);
  canvas.keep(frames(1, 9), 0);
  EXPECT_THAT(canvas.describe(), ElementsAre("frames 0-1 known", "frames 1-7 free: a ball", "frames 7-9 known"));
}

TEST(Canvas, FramesOutsideOrTwiceAreOurOwnBug) {
  Canvas canvas({6, 4}, 5, "");
  canvas.keep(frames(2, 1), 1);
  EXPECT_THROW(canvas.keep(frames(1, 1), 2), Error);
  EXPECT_THROW(canvas.keep(frames(2, 1), 4), Error);
  EXPECT_THROW(canvas.keep(frames(1, 1), -1), Error);
}

TEST(Splice, OnlyKnownFramesOfTheChunkAreReplaced) {
  Canvas canvas({6, 4}, 9, "");
  canvas.keep(frames(3, 7), 2);
  at::Tensor chunk = frames(4, 1);  // frames 1 to 5 of the canvas
  splice_known(canvas, 1, chunk);
  for (int64_t frame = 0; frame < 4; ++frame) {
    const int expected = frame == 0 ? 1 : 7;
    EXPECT_TRUE(at::equal(chunk[frame], frames(1, expected)[0])) << frame;
  }
}

}  // namespace
}  // namespace sora
