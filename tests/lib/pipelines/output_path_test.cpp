#include "lib/pipelines/output_path.h"

#include <gtest/gtest.h>

#include <filesystem>

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

}  // namespace
}  // namespace sora
