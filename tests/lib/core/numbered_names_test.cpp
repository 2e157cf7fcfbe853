#include "lib/core/numbered_names.h"

#include <gtest/gtest.h>

#include "lib/core/error.h"

namespace sora {
namespace {

TEST(NumberedNames, TheFileHoldsTheNumberNotItsFolder) {
  EXPECT_TRUE(names_sequence("frames/%05d.PNG"));
  EXPECT_FALSE(names_sequence("50%d/a.png"));
  EXPECT_FALSE(names_sequence("%d-%d.png"));
  EXPECT_EQ(sequence_path("50%/%03d%%.png", 7), "50%/007%.png");
  EXPECT_THROW(sequence_path("clip.png", 7), Error);
}

TEST(NumberedNames, VariationsAreNumberedBeforeTheExtension) {
  EXPECT_EQ(variation_path("a/clip.mp4", 0, 1), "a/clip.mp4");
  EXPECT_EQ(variation_path("a/clip.mp4", 1, 3), "a/clip-2.mp4");
  EXPECT_EQ(variation_path("a/b/%05d.png", 0, 2), "a/b-1/%05d.png");
  EXPECT_EQ(variation_path("%05d.png", 1, 2), "frames-2/%05d.png");
  EXPECT_THROW(variation_path("-", 0, 2), Error);
}

}  // namespace
}  // namespace sora
