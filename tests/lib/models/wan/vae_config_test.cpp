// The config of AutoencoderKLWan: what is read, and what is refused.
#include "lib/models/wan/vae_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/error_of.h"

namespace sora {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

WanVaeConfig read(const json& config) {
  return WanVaeConfig::from_config(ConfigReader(config, "vae/config.json"));
}

std::string refusal(const json& config) {
  const Error error = error_of([&] { read(config); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  return error.what();
}

const json kWan22 = {{"_class_name", "AutoencoderKLWan"},
                     {"base_dim", 160},
                     {"decoder_base_dim", 256},
                     {"z_dim", 48},
                     {"in_channels", 12},
                     {"out_channels", 12},
                     {"is_residual", true},
                     {"patch_size", 2},
                     {"scale_factor_spatial", 16},
                     {"clip_output", false},
                     {"latents_mean", std::vector<double>(48, 0.1)},
                     {"latents_std", std::vector<double>(48, 2.0)}};

json wan22_with(const std::string& field, const json& value) {
  json config = kWan22;
  config[field] = value;
  return config;
}

TEST(WanVaeConfig, HasTheDefaultsOfWan21) {
  const WanVaeConfig config = read({{"_class_name", "AutoencoderKLWan"}, {"patch_size", nullptr}});
  EXPECT_EQ(config.base_dim, 96);
  EXPECT_EQ(config.decoder_base_dim, 96);
  EXPECT_EQ(config.patch_size, 1);
  EXPECT_EQ(config.latents_mean.size(), 16u);
  EXPECT_EQ(config.latents_std.front(), 2.8184);
  EXPECT_TRUE(config.clip_output);
}

TEST(WanVaeConfig, ReadsTheFieldsOfWan22) {
  const WanVaeConfig config = read(kWan22);
  EXPECT_EQ(config.base_dim, 160);
  EXPECT_EQ(config.decoder_base_dim, 256);
  EXPECT_EQ(config.z_dim, 48);
  EXPECT_TRUE(config.is_residual);
  EXPECT_FALSE(config.clip_output);
  EXPECT_THAT(config.dim_mult, ElementsAre(1, 2, 4, 4));
  EXPECT_THAT(config.temperal_downsample, ElementsAre(false, true, true));
}

TEST(WanVaeConfig, TakesTheEncodersWidthForTheDecoderWhereTheFileHasNone) {
  EXPECT_EQ(read(wan22_with("decoder_base_dim", nullptr)).decoder_base_dim, 160);
}

TEST(WanVaeConfig, NamesAFieldItDoesNotKnow) {
  EXPECT_THAT(refusal(wan22_with("spatial_attention", true)),
              AllOf(HasSubstr("vae/config.json"), HasSubstr("spatial_attention")));
}

TEST(WanVaeConfig, RefusesAnotherClass) {
  EXPECT_THAT(refusal({{"_class_name", "AutoencoderKL"}}), HasSubstr("AutoencoderKLWan"));
}

TEST(WanVaeConfig, RefusesFieldsAtOddsWithOthers) {
  EXPECT_THAT(refusal(wan22_with("scale_factor_spatial", 8)),
              HasSubstr("scale_factor_spatial is 8, expected 16"));
  EXPECT_THAT(refusal(wan22_with("scale_factor_temporal", 8)),
              HasSubstr("scale_factor_temporal is 8, expected 4"));
  EXPECT_THAT(refusal(wan22_with("out_channels", 10)),
              HasSubstr("out_channels is 10, expected a multiple of 4"));
  EXPECT_THAT(refusal(wan22_with("temperal_downsample", {true, true})),
              HasSubstr("temperal_downsample is 2, expected 3"));
  EXPECT_THAT(refusal(wan22_with("latents_mean", {0.0})),
              HasSubstr("latents_mean is 1, expected 48"));
  EXPECT_THAT(refusal(wan22_with("latents_std", std::vector<double>(48, 0.0))),
              HasSubstr("latents_std"));
  EXPECT_THAT(refusal(wan22_with("dim_mult", {1, 2, 3, 4})), HasSubstr("dim_mult"));
}

TEST(WanVaeConfig, RefusesSizesThatAreNoModel) {
  EXPECT_THAT(refusal(wan22_with("base_dim", 0)), HasSubstr("base_dim is 0"));
  EXPECT_THAT(refusal(wan22_with("z_dim", -1)), HasSubstr("z_dim is -1"));
  EXPECT_THAT(refusal(wan22_with("patch_size", int64_t{1} << 40)), HasSubstr("patch_size is"));
  EXPECT_THAT(refusal(wan22_with("dim_mult", json::array())), HasSubstr("dim_mult is 0"));
  EXPECT_THAT(refusal(wan22_with("base_dim", "wide")), HasSubstr("base_dim"));
}

TEST(WanVaeConfig, RefusesADecoderThatRunsOutOfChannels) {
  EXPECT_THAT(refusal({{"base_dim", 1}, {"dim_mult", {1, 1, 1, 1}}}),
              HasSubstr("cannot be halved"));
}

}  // namespace
}  // namespace sora
