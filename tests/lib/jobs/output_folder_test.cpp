#include "lib/jobs/output_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string length_as_digest(const fs::path& path) { return std::to_string(fs::file_size(path)); }

TEST(OutputFolder, NamesThatLeadOutsideAreRefused) {
  for (const char* name :
       {"/etc/x.mp4", "../x.mp4", "a/../../x.mp4", ".hidden.mp4", "a/.b/c.mp4", "", "a/"}) {
    EXPECT_EQ(error_of([&] { OutputFolder::check_name(name); }).kind(), ErrorKind::Usage) << name;
  }
  EXPECT_NO_THROW(OutputFolder::check_name("a/b/c.mp4"));
}

TEST(OutputFolder, StagedFilesGetTheirNamesOnceAndTwice) {
  const ScratchDirectory scratch;
  const OutputFolder folder(scratch / "out");
  const fs::path stage = folder.stage(7, "a");
  fs::create_directories(stage / "a");
  std::ofstream(stage / "a" / "clip.mp4") << "film";
  const std::vector<JobFile> files = folder.staged_files(7, length_as_digest);
  ASSERT_EQ(files.size(), 1u);
  const std::vector<JobFile> published = folder.publish(7, files, false);
  EXPECT_TRUE(fs::exists(scratch / "out/a/clip.mp4"));
  EXPECT_FALSE(fs::exists(stage));
  EXPECT_TRUE(folder.compare(published, length_as_digest).is_whole);
  EXPECT_NO_THROW(
      folder.publish(7, files, false));  // after a crash between the rename and the journal
}

TEST(OutputFolder, WhatIsThereIsNotReplacedWithoutForce) {
  const ScratchDirectory scratch;
  const OutputFolder folder(scratch / "out");
  const fs::path stage = folder.stage(1, "a");
  std::ofstream(stage / "clip.mp4") << "new";
  scratch.write("out/clip.mp4", "mine");
  const std::vector<JobFile> files = folder.staged_files(1, length_as_digest);
  EXPECT_THAT(error_of([&] { folder.publish(1, files, false); }).what(),
              HasSubstr("come to exist meanwhile"));
  EXPECT_EQ(fs::file_size(scratch / "out/clip.mp4"), 4u);
  folder.publish(1, files, true);
  EXPECT_EQ(fs::file_size(scratch / "out/clip.mp4"), 3u);
}

TEST(OutputFolder, WhereOneNameIsTakenNoFileGetsItsName) {
  const ScratchDirectory scratch;
  const OutputFolder folder(scratch / "out");
  const fs::path stage = folder.stage(1, "a");
  for (const char* name : {"a.mp4", "b.safetensors"}) std::ofstream(stage / name) << "new";
  scratch.write("out/b.safetensors", "mine");
  const std::vector<JobFile> files = folder.staged_files(1, length_as_digest);
  EXPECT_THAT(error_of([&] { folder.publish(1, files, false); }).what(),
              HasSubstr("b.safetensors has come to exist meanwhile"));
  EXPECT_FALSE(fs::exists(scratch / "out/a.mp4"));
  fs::remove(scratch / "out/b.safetensors");
  folder.publish(1, files, false);
  EXPECT_TRUE(fs::exists(scratch / "out/a.mp4"));
}

TEST(OutputFolder, ALinkInsideLeadsNowhere) {
  const ScratchDirectory scratch;
  const OutputFolder folder(scratch / "out");
  fs::create_directories(scratch / "elsewhere");
  fs::create_directory_symlink(scratch / "elsewhere", scratch / "out/a");
  const fs::path stage = folder.stage(1, "a");
  fs::create_directories(stage / "a");
  std::ofstream(stage / "a/clip.mp4") << "x";
  const std::vector<JobFile> files = folder.staged_files(1, length_as_digest);
  EXPECT_EQ(error_of([&] { folder.publish(1, files, true); }).kind(), ErrorKind::Usage);
  EXPECT_TRUE(fs::is_empty(scratch / "elsewhere"));
  EXPECT_EQ(error_of([&] { folder.exists("a/clip.mp4"); }).kind(), ErrorKind::Usage);
}

TEST(OutputFolder, LatentsOfAnotherJobOfThisNumberAreForgotten) {
  const ScratchDirectory scratch;
  const OutputFolder folder(scratch / "out");
  const fs::path latents = OutputFolder::latents_beside(folder.stage(1, "a"));
  std::ofstream(latents) << "of a";
  folder.stage(1, "a");
  EXPECT_TRUE(fs::exists(latents));
  folder.stage(1, "b");
  EXPECT_FALSE(fs::exists(latents));
  std::ofstream(latents) << "of b";
  folder.stage(1, "b");
  EXPECT_TRUE(fs::exists(latents));
  fs::remove(latents.parent_path() / "key");
  folder.stage(1, "b");
  EXPECT_FALSE(fs::exists(latents)) << "nothing says whose they are";
}

TEST(OutputFolder, TellsAlteredFilesFromMissingOnesAndRemovesNeither) {
  const ScratchDirectory scratch;
  const OutputFolder folder(scratch / "out");
  const fs::path stage = folder.stage(1, "a");
  std::ofstream(stage / "clip.gif") << "new";
  std::ofstream(stage / "clip.gif.json") << "{}";
  const std::vector<JobFile> published =
      folder.publish(1, folder.staged_files(1, length_as_digest), false);
  scratch.write("out/clip.gif", "other");
  EXPECT_EQ(folder.compare(published, length_as_digest).altered, "clip.gif");
  folder.remove_unaltered(published, length_as_digest);
  EXPECT_TRUE(fs::exists(scratch / "out/clip.gif"));
  EXPECT_FALSE(fs::exists(scratch / "out/clip.gif.json"));
  fs::remove(scratch / "out/clip.gif");
  EXPECT_EQ(folder.compare(published, length_as_digest).altered, "");
  EXPECT_FALSE(folder.compare(published, length_as_digest).is_whole);
}

}  // namespace
}  // namespace sora
