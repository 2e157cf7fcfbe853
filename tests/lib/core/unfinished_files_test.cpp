#include "lib/core/unfinished_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

TEST(UnfinishedFiles, AreRemovedWhileTheyAreUnfinished) {
  const ScratchDirectory scratch;
  for (const char* name : {"finished", "moved", "unfinished", "another's"})
    scratch.write(name, "x");
  { const UnfinishedFile finished(scratch / "finished"); }
  UnfinishedFile moved(scratch / "moved");
  moved = {};
  UnfinishedFile first(scratch / "unfinished");
  const UnfinishedFile unfinished = std::move(first);
  sora_remove_unfinished_files();
  EXPECT_TRUE(fs::exists(scratch / "finished"));
  EXPECT_TRUE(fs::exists(scratch / "moved"));
  EXPECT_TRUE(fs::exists(scratch / "another's"));
  EXPECT_FALSE(fs::exists(scratch / "unfinished"));
}

TEST(UnfinishedFiles, BeyondThosePlacesAreLeftAndPlacesAreUsedAgain) {
  const ScratchDirectory scratch;
  std::vector<UnfinishedFile> files;
  for (int i = 0; i < 100; ++i) files.emplace_back(scratch / ("f" + std::to_string(i)));
  files.clear();
  files.emplace_back(std::string(1 << 20, 'x'));
  scratch.write("last", "x");
  files.emplace_back(scratch / "last");
  sora_remove_unfinished_files();
  EXPECT_FALSE(fs::exists(scratch / "last"));
}

}  // namespace
}  // namespace sora
