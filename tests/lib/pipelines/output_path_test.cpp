#include "lib/pipelines/output_path.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "lib/core/error.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

TEST(OutputPath, SlugIsAPlainFileName) {
  EXPECT_EQ(slug("A Red ball, bouncing!"), "a-red-ball-bouncing");
  EXPECT_EQ(slug("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(slug("红色的球"), "clip");
  EXPECT_EQ(slug(""), "clip");
  EXPECT_LE(slug(std::string(1000, 'a')).size(), 48u);
}

TEST(OutputPath, AnAutomaticNameIsFreeForEveryVariation) {
  const ScratchDirectory folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  EXPECT_EQ(free_output_path("a ball", 7, 2), "a-ball-7.mp4");
  folder.write("a-ball-7-2.mp4", "");
  EXPECT_EQ(free_output_path("a ball", 7, 1), "a-ball-7.mp4");
  EXPECT_EQ(free_output_path("a ball", 7, 2), "a-ball-7-2.mp4");  // and -2-1, -2-2
  folder.write("a-ball-7.mp4", "");
  EXPECT_EQ(free_output_path("a ball", 7, 1), "a-ball-7-3.mp4");
  std::filesystem::current_path(before);
}

TEST(OutputPath, VariationsAreNumberedBeforeTheExtension) {
  EXPECT_EQ(variation_path("a/clip.mp4", 0, 1), "a/clip.mp4");
  EXPECT_EQ(variation_path("a/clip.mp4", 1, 3), "a/clip-2.mp4");
  EXPECT_EQ(variation_path("a/b/%05d.png", 0, 2), "a/b-1/%05d.png");
  EXPECT_THROW(variation_path("-", 0, 2), Error);
}

}  // namespace
}  // namespace sora
