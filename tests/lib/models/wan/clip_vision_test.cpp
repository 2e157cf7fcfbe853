// Against CLIPVisionModel and CLIPImageProcessor of transformers: tests/data/clip_vision.
#include "lib/models/wan/clip_vision.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/core/config_reader.h"
#include "lib/core/json_file.h"
#include "lib/tensor_io/checkpoint.h"
#include "tests/error_of.h"
#include "tests/relative_error.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

fs::path folder() { return fs::path(SORA_TEST_DATA) / "clip_vision"; }

ClipVision open_model(const fs::path& directory, at::ScalarType dtype) {
  const Weights weights(std::make_shared<const Checkpoint>(Checkpoint::open(directory)), dtype,
                        test_device());
  ClipVision model(ClipVisionConfig::from_config(ConfigReader::open(directory / "config.json")),
                   weights);
  weights.check_all_used();
  return model;
}

class ClipVisionParity : public testing::TestWithParam<const char*> {
 protected:
  const c10::InferenceMode guard_;
  const fs::path case_ = folder() / GetParam();
  const Checkpoint tensors_ = Checkpoint::open(case_ / "two_images.safetensors");
};

TEST_P(ClipVisionParity, EqualsTransformersInF32) {
  const at::Tensor hidden =
      open_model(case_ / "model", at::kFloat)(tensors_.get("pixel_values")).cpu();
  const at::Tensor wanted = tensors_.get("hidden_states");
  ASSERT_EQ(hidden.sizes(), wanted.sizes());
  EXPECT_LT(relative_error(hidden, wanted), 2e-6);
}

TEST_P(ClipVisionParity, IsNoFurtherFromF32InBf16ThanTransformers) {
  const at::Tensor hidden =
      open_model(case_ / "model", at::kBFloat16)(tensors_.get("pixel_values")).cpu();
  const double theirs =
      read_json_file(case_ / "two_images.json")["bf16_relative_error"].get<double>();
  EXPECT_LT(relative_error(hidden, tensors_.get("hidden_states")), theirs);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ClipVisionParity, testing::Values("gelu", "quick_gelu"));

class ClipImage : public testing::TestWithParam<const char*> {};

TEST_P(ClipImage, IsPreparedAsByTransformers) {
  const fs::path processor = folder() / "processor";
  const auto config =
      ClipImageConfig::from_config(ConfigReader::open(processor / "preprocessor_config.json"));
  const Checkpoint tensors =
      Checkpoint::open((processor / GetParam()).replace_extension(".safetensors"));
  const at::Tensor pixels = clip_pixel_values(tensors.get("image"), config);
  const at::Tensor wanted = tensors.get("pixel_values");
  ASSERT_EQ(pixels.sizes(), wanted.sizes());
  // The reference resizes with integer weights: one step of a byte, here and there.
  const double step = 1.0 / 255 / *std::min_element(config.std.begin(), config.std.end());
  EXPECT_LT((pixels - wanted).abs().max().item<double>(), 1.01 * step);
  EXPECT_LT((pixels - wanted).abs().gt(0.01 * step).to(at::kFloat).mean().item<double>(), 0.02);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ClipImage, testing::Values("lying", "upright", "small"));

TEST(ClipImageConfig, RefusesAStepThatIsSwitchedOff) {
  nlohmann::json config = read_json_file(folder() / "processor" / "preprocessor_config.json");
  config["do_center_crop"] = false;
  const Error error = error_of(
      [&] { ClipImageConfig::from_config(ConfigReader(config, "preprocessor_config.json")); });
  EXPECT_NE(std::string(error.what()).find("do_center_crop"), std::string::npos) << error.what();
}

TEST(ClipVisionConfig, NamesAnUnknownField) {
  nlohmann::json config = read_json_file(folder() / "gelu" / "model" / "config.json");
  config["num_registers"] = 4;
  const Error error =
      error_of([&] { ClipVisionConfig::from_config(ConfigReader(config, "config.json")); });
  EXPECT_NE(std::string(error.what()).find("num_registers"), std::string::npos) << error.what();
}

}  // namespace
}  // namespace sora
