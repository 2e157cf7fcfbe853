#include "lib/tensor_io/checkpoint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kIndex[] = "diffusion_pytorch_model.safetensors.index.json";

class CheckpointTest : public ::testing::Test {
 protected:
  void write_shard(const std::string& name, const std::string& tensor, float value) {
    fs::create_directories((scratch_ / name).parent_path());
    write_safetensors(scratch_ / name, {{tensor, at::full({2}, value)}});
  }
  void expect_error(ErrorKind kind, const std::string& words, const fs::path& path) {
    const Error error = error_of([&] { Checkpoint::open(path); });
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(error.what(), HasSubstr(words));
  }

  ScratchDirectory scratch_;
};

TEST_F(CheckpointTest, OpensEveryNameOfDiffusersAndTransformers) {
  for (const std::string name :
       {"diffusion_pytorch_model.safetensors", "model.safetensors",
        "diffusion_pytorch_model.bf16.safetensors", "model.fp16.safetensors"}) {
    write_shard(name + "_dir/" + name, "a", 1);
    const Checkpoint checkpoint = Checkpoint::open(scratch_ / (name + "_dir"));
    EXPECT_EQ(checkpoint.get("a").sum().item<float>(), 2);
    EXPECT_THAT(checkpoint.description(), HasSubstr(name));
  }
}

TEST_F(CheckpointTest, OpensASingleFile) {
  write_shard("any_name.safetensors", "a", 3);
  const Checkpoint checkpoint = Checkpoint::open(scratch_ / "any_name.safetensors");
  EXPECT_TRUE(checkpoint.has("a"));
  EXPECT_FALSE(checkpoint.has("b"));
  EXPECT_EQ(checkpoint.num_bytes(), 8);
  EXPECT_THAT(error_of([&] { checkpoint.get("b"); }).what(), HasSubstr("no tensor \"b\""));
  EXPECT_EQ(error_of([&] { checkpoint.info("b"); }).kind(), ErrorKind::Input);
}

TEST_F(CheckpointTest, OpensShards) {
  write_shard("one.safetensors", "a", 1);
  write_shard("two.safetensors", "b", 2);
  scratch_.write(
      kIndex,
      R"({"metadata":{"total_size":16},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  const Checkpoint checkpoint = Checkpoint::open(scratch_.path());
  EXPECT_THAT(checkpoint.names(), ElementsAre("a", "b"));
  EXPECT_EQ(checkpoint.get("b").sum().item<float>(), 4);
  EXPECT_TRUE(Checkpoint::open(scratch_ / kIndex).has("a"));
}

TEST_F(CheckpointTest, OpensShardsOfAVariant) {
  for (const std::string stem : {"diffusion_pytorch_model", "model"}) {
    const std::string shard = stem + ".fp16-00001-of-00001.safetensors",
                      index = stem + ".safetensors.index.fp16.json";
    write_shard(stem + "/" + shard, "a", 1);
    scratch_.write(stem + "/" + index, fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", shard));
    EXPECT_TRUE(Checkpoint::open(scratch_ / stem).has("a"));
    EXPECT_TRUE(Checkpoint::open(scratch_ / stem / index).has("a"));
  }
}

TEST_F(CheckpointTest, NamesTheShardThatIsMissing) {
  write_shard("one.safetensors", "a", 1);
  scratch_.write(kIndex, R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  expect_error(ErrorKind::NotFound, "1 of 2 shards are missing: two.safetensors", scratch_.path());
}

TEST_F(CheckpointTest, RefusesAnIndexThatNamesATensorItsShardLacks) {
  write_shard("one.safetensors", "a", 1);
  scratch_.write(kIndex, R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors"}})");
  expect_error(ErrorKind::Input, "\"b\", which it does not", scratch_.path());
}

TEST_F(CheckpointTest, RefusesATensorThatTwoShardsHold) {
  write_shard("one.safetensors", "a", 1);
  write_shard("two.safetensors", "a", 2);
  scratch_.write(kIndex, R"({"weight_map":{"a":"one.safetensors"}})");
  EXPECT_TRUE(Checkpoint::open(scratch_.path()).has("a"));
  fs::rename(scratch_ / "one.safetensors", scratch_ / "first.safetensors");
  write_safetensors(scratch_ / "one.safetensors", {{"a", at::ones({2})}, {"b", at::ones({2})}});
  scratch_.write(kIndex, R"({"weight_map":{"a":"two.safetensors","b":"one.safetensors"}})");
  expect_error(ErrorKind::Input, "which is also in", scratch_.path());
}

TEST_F(CheckpointTest, RefusesShardNamesThatLeaveTheDirectory) {
  write_shard("secret.safetensors", "a", 1);
  write_shard("model/one.safetensors", "b", 1);
  const std::string absolute = (scratch_ / "secret.safetensors").string();
  for (const std::string& name :
       {std::string("../secret.safetensors"), absolute, std::string("sub/../../secret.safetensors"),
        std::string(".."), std::string(""), std::string("a\\\\b")}) {
    scratch_.write(std::string("model/") + kIndex, R"({"weight_map":{"a":")" + name + R"("}})");
    expect_error(ErrorKind::Input, "plain name of a file", scratch_ / "model");
  }
  scratch_.write(std::string("model/") + kIndex, R"({"weight_map":{"a":7}})");
  expect_error(ErrorKind::Input, "plain name of a file", scratch_ / "model");
}

TEST_F(CheckpointTest, RefusesAShardThatIsALinkOutOfTheDirectory) {
  write_shard("secret.safetensors", "a", 1);
  scratch_.write(std::string("model/") + kIndex, R"({"weight_map":{"a":"one.safetensors"}})");
  fs::create_symlink(scratch_ / "secret.safetensors", scratch_ / "model/one.safetensors");
  expect_error(ErrorKind::Input, "leads out of the model's directory", scratch_ / "model");
}

TEST_F(CheckpointTest, FollowsTheLinksOfTheHubCacheIntoItsBlobs) {
  write_shard("models--org--name/blobs/0123", "a", 1);
  const fs::path component = scratch_ / "models--org--name/snapshots/89ab/transformer";
  fs::create_directories(component);
  fs::create_symlink("../../../blobs/0123", component / "one.safetensors");
  scratch_.write("models--org--name/blobs/index", R"({"weight_map":{"a":"one.safetensors"}})");
  fs::create_symlink("../../../blobs/index", component / kIndex);
  EXPECT_TRUE(Checkpoint::open(component).has("a"));

  fs::rename(scratch_ / "models--org--name/blobs", scratch_ / "models--org--name/other");
  fs::remove(component / "one.safetensors");
  fs::remove(component / kIndex);
  fs::create_symlink("../../../other/0123", component / "one.safetensors");
  fs::create_symlink("../../../other/index", component / kIndex);
  expect_error(ErrorKind::Input, "leads out of the model's directory", component);
}

TEST_F(CheckpointTest, RefusesAnIndexThatIsNotOne) {
  for (const char* text : {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{}})",
                           "version https://git-lfs.x"}) {
    scratch_.write(kIndex, text);
    EXPECT_EQ(error_of([&] { Checkpoint::open(scratch_.path()); }).kind(), ErrorKind::Input)
        << text;
  }
}

TEST_F(CheckpointTest, RefusesPicklesAndNamesTheAlternative) {
  for (const char* name : {"model.bin", "model.pt", "model.pth", "model.ckpt", "model.pkl",
                           "model.jit", "model.pt2"}) {
    expect_error(ErrorKind::Input, ".safetensors", scratch_.write(name, "\x80\x02}"));
  }
  ScratchDirectory directory;
  directory.write("pytorch_model.bin", "\x80\x02}");
  expect_error(ErrorKind::Input, "pickle", directory.path());
}

TEST_F(CheckpointTest, SaysThatAFileIsOnlyGitsPointerToIt) {
  for (const char* name : {"model.safetensors", "model.gguf"}) {
    expect_error(ErrorKind::Input, "git lfs pull",
                 scratch_.write(name,
                                "version https://git-lfs.github.com/spec/v1\n"
                                "oid sha256:ab\nsize 28577000000\n"));
  }
}

TEST_F(CheckpointTest, SaysWhichFilesADirectoryShouldHave) {
  expect_error(ErrorKind::NotFound, "model.safetensors", scratch_.path());
  expect_error(ErrorKind::NotFound, "none", scratch_ / "none");
}

TEST_F(CheckpointTest, AsksForAChoiceBetweenVariants) {
  write_shard("model.fp16.safetensors", "a", 1);
  write_shard("model.bf16.safetensors", "a", 1);
  expect_error(ErrorKind::Input, "2 weight files", scratch_.path());
}

}  // namespace
}  // namespace sora
