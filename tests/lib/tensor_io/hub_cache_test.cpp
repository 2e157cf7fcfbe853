#include "lib/tensor_io/hub_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

constexpr char kCommit[] = "0123456789abcdef0123456789abcdef01234567";

TEST(HubName, IsAnOrganisationAndAModelWithAnOptionalRevision) {
  EXPECT_EQ(parse_hub_name("Wan-AI/Wan2.1-T2V-1.3B-Diffusers")->repository,
            "Wan-AI/Wan2.1-T2V-1.3B-Diffusers");
  EXPECT_EQ(parse_hub_name("org/name")->revision, "main");
  EXPECT_EQ(parse_hub_name("org/name@refs/pr/1")->revision, "refs/pr/1");
}

TEST(HubName, IsNothingThatCouldLeaveTheCache) {
  for (const char* text : {"name", "a/b/c", "/etc/passwd", "../x", "org/..", "org/na--me",
                           "org/name@", "org/name@../x", "org/name@/x", "org/name@a b", "org/",
                           "/name", "", "./models", "org/na\nme"}) {
    EXPECT_FALSE(parse_hub_name(text)) << text;
  }
}

TEST(HubCache, FindsTheSnapshotOfABranchATagAndACommit) {
  ScratchDirectory cache;
  const auto model = cache / "models--org--name";
  cache.write("models--org--name/refs/main", kCommit);
  cache.write("models--org--name/refs/refs/pr/1", std::string(kCommit) + "\n");
  cache.write(std::string("models--org--name/snapshots/") + kCommit + "/model_index.json", "{}");
  for (const char* name : {"org/name", "org/name@main", "org/name@refs/pr/1",
                           "org/name@0123456789abcdef0123456789abcdef01234567"}) {
    EXPECT_EQ(find_in_hub_cache(*parse_hub_name(name), cache.path()), model / "snapshots" / kCommit)
        << name;
  }
}

TEST(HubCache, SaysHowToDownloadWhatIsNotThere) {
  ScratchDirectory cache;
  const Error absent = error_of([&] { find_in_hub_cache({"org/name"}, cache.path()); });
  EXPECT_EQ(absent.kind(), ErrorKind::NotFound);
  EXPECT_THAT(absent.what(), HasSubstr("sora models pull org/name"));
  cache.write("models--org--name/refs/main", kCommit);
  const Error other = error_of([&] { find_in_hub_cache({"org/name", "v2"}, cache.path()); });
  EXPECT_EQ(other.kind(), ErrorKind::NotFound);
  EXPECT_THAT(other.what(), HasSubstr("there: main"));
}

TEST(HubCache, RefusesARefThatIsNotACommit) {
  ScratchDirectory cache;
  cache.write("models--org--name/refs/main", "../../..");
  EXPECT_EQ(error_of([&] { find_in_hub_cache({"org/name"}, cache.path()); }).kind(),
            ErrorKind::Input);
}

TEST(HubCache, FollowsTheEnvironmentInHuggingFacesOrder) {
  const char* names[] = {"HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"};
  for (const char* name : names) ::unsetenv(name);
  ::setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(hub_cache_directory(), "/x/huggingface/hub");
  ::setenv("HF_HOME", "/y", 1);
  EXPECT_EQ(hub_cache_directory(), "/y/hub");
  ::setenv("HF_HUB_CACHE", "/z", 1);
  EXPECT_EQ(hub_cache_directory(), "/z");
  for (const char* name : names) ::unsetenv(name);
  const std::string home = std::getenv("HOME");
  EXPECT_EQ(hub_cache_directory(), home + "/.cache/huggingface/hub");
}

}  // namespace
}  // namespace sora
