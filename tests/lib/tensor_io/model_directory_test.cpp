#include "lib/tensor_io/model_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

class ModelDirectoryTest : public ::testing::Test {
 protected:
  ModelDirectory open(const std::string& index) {
    scratch_.write("model_index.json", index);
    return ModelDirectory::open(scratch_.path());
  }

  ScratchDirectory scratch_;
};

constexpr char kIndex[] =
    R"({"_class_name":"WanPipeline","_diffusers_version":"0.42.1","boundary_ratio":0.875,
  "expand_timesteps":false,"transformer":["diffusers","WanTransformer3DModel"],"transformer_2":[null,null],
  "vae":["diffusers","AutoencoderKLWan"]})";

TEST_F(ModelDirectoryTest, ReadsComponentsAndSettings) {
  std::filesystem::create_directory(scratch_ / "transformer");
  const ModelDirectory model = open(kIndex);
  EXPECT_EQ(model.pipeline_class(), "WanPipeline");
  EXPECT_EQ(model.get("transformer", {"WanTransformer3DModel"}).directory,
            scratch_ / "transformer");
  EXPECT_FALSE(model.find("transformer_2", {"WanTransformer3DModel"}));
  EXPECT_FALSE(model.find("image_encoder", {"CLIPVisionModel"}));
  EXPECT_EQ(model.settings().get_optional<double>("boundary_ratio"), 0.875);
  EXPECT_FALSE(model.settings().get("expand_timesteps", true));
}

TEST_F(ModelDirectoryTest, NamesAClassItDoesNotKnow) {
  const ModelDirectory model = open(kIndex);
  const Error error = error_of([&] { model.get("vae", {"AutoencoderKLHunyuanVideo"}); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_THAT(error.what(), HasSubstr("\"vae\" is a AutoencoderKLWan"));
}

TEST_F(ModelDirectoryTest, SaysWhichComponentIsMissing) {
  const ModelDirectory model = open(kIndex);
  const Error no_directory = error_of([&] { model.get("vae", {"AutoencoderKLWan"}); });
  EXPECT_EQ(no_directory.kind(), ErrorKind::NotFound);
  EXPECT_THAT(no_directory.what(), HasSubstr("\"vae\""));
  EXPECT_EQ(error_of([&] { model.get("scheduler", {"UniPCMultistepScheduler"}); }).kind(),
            ErrorKind::Input);
}

TEST_F(ModelDirectoryTest, LetsNothingGoUnread) {
  std::filesystem::create_directory(scratch_ / "transformer");
  std::filesystem::create_directory(scratch_ / "vae");
  const ModelDirectory model = open(kIndex);
  model.get("transformer", {"WanTransformer3DModel"});
  EXPECT_THAT(error_of([&] { model.check_all_used(); }).what(),
              HasSubstr("\"vae\" (AutoencoderKLWan)"));
  model.ignore({"vae"});
  EXPECT_THAT(error_of([&] { model.check_all_used(); }).what(),
              HasSubstr("\"boundary_ratio\" = 0.875"));
  model.settings().get_optional<double>("boundary_ratio");
  model.settings().get("expand_timesteps", false);
  EXPECT_NO_THROW(model.check_all_used());
}

TEST_F(ModelDirectoryTest, RefusesCustomCodeAndMalformedComponents) {
  EXPECT_THAT(error_of([&] { open(R"({"_class_name":"P","vae":["my_code","V"]})"); }).what(),
              HasSubstr("custom code"));
  EXPECT_THAT(error_of([&] { open(R"({"_class_name":"P","vae":["diffusers"]})"); }).what(),
              HasSubstr("[library, class]"));
  EXPECT_THAT(error_of([&] { open(R"({"_class_name":"P","vae":[null,"V"]})"); }).what(),
              HasSubstr("[library, class]"));
  EXPECT_THAT(error_of([&] { open(R"({"vae":["diffusers","V"]})"); }).what(),
              HasSubstr("_class_name"));
  EXPECT_EQ(error_of([&] { open("[]"); }).kind(), ErrorKind::Input);
  EXPECT_EQ(error_of([&] { open("{"); }).kind(), ErrorKind::Input);
}

TEST_F(ModelDirectoryTest, ExplainsADirectoryWithoutAnIndex) {
  const Error error = error_of([&] { ModelDirectory::open(scratch_.path()); });
  EXPECT_EQ(error.kind(), ErrorKind::NotFound);
  EXPECT_THAT(error.what(), HasSubstr("model_index.json"));
}

}  // namespace
}  // namespace sora
