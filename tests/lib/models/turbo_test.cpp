// LoRAs that distil to few steps, of random values and under the names their authors publish, on
// the small models that diffusers wrote.
#include "lib/models/turbo.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "lib/models/registry.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;

class Turbo : public testing::Test {
 protected:
  // A copy of a fixture's model, with a folder for LoRAs.
  void take_model(const std::string& name) {
    model_ = scratch_ / name;
    fs::copy(fs::path(SORA_TEST_DATA) / "pipelines" / name, model_, fs::copy_options::recursive);
  }

  // A LoRA of rank 2 for the first block, of a model `width` wide; the fixtures' are 24. With
  // `strange` it has a tensor that no model has.
  fs::path write_lora(const std::string& name, int64_t width = 24, bool strange = false) {
    const fs::path path = model_ / "loras" / name;
    fs::create_directories(path.parent_path());
    const std::string module = "diffusion_model.blocks.0.self_attn.q.";
    std::vector<std::pair<std::string, at::Tensor>> tensors = {
        {module + "lora_down.weight", at::randn({2, width})},
        {module + "lora_up.weight", at::randn({width, 2})}};
    if (strange) tensors.emplace_back("diffusion_model.blocks.99.norm3.diff", at::ones({width}));
    write_safetensors(path, tensors);
    return path;
  }

  ModelInfo read(const ModelFiles& files = {.turbo = true}) const {
    return read_model_info("small", model_, files);
  }

  // Noise levels that the schedule tells its sampler, shifted.
  static std::vector<double> levels_of(const ModelInfo& model) {
    EXPECT_EQ(model.scheduler["_class_name"], "FlowMatchEulerDiscreteScheduler");
    const double shift = model.scheduler["shift"];
    std::vector<double> levels = model.scheduler["sigmas"];
    for (double& level : levels) level = shift * level / (1 + (shift - 1) * level);
    return levels;
  }

  ScratchDirectory scratch_;
  fs::path model_;
};

TEST_F(Turbo, KnowsThePublishedNamesAndTheirSchedules) {
  const std::vector<double> kFour = {1, 0.9375, 5 / 6.0, 0.625};
  const std::vector<double> kSix = {1, 40 / 41.0, 16 / 17.0, 8 / 9.0, 0.8, 8 / 13.0};
  const struct {
    const char* file;
    std::vector<double> levels;
  } kPublished[] = {
      {"Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors", kFour},
      {"wan2.2_t2v_lightx2v_4steps_lora_v1.1.safetensors", kFour},
      {"Wan2.2-Lightning_T2V-A14B-4steps-lora_fp16.safetensors", kFour},
      {"Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-V1.1/noise_model.safetensors", kFour},
      {"Wan2_1_self_forcing_dmd_1_3B_lora_rank_32_fp16.safetensors", kFour},
      {"Self-Forcing-DMD.safetensors", kFour},
      {"Wan21_CausVid_14B_T2V_lora_rank32_v2.safetensors", kSix},
      {"Wan2_2_5B_FastWanFullAttn_lora_rank_128_bf16.safetensors", {1, 0.757, 0.522}},
  };
  take_model("t2v_unipc");
  for (const auto& published : kPublished) {
    const fs::path file = write_lora(published.file);
    const ModelInfo model = read();
    ASSERT_EQ(model.loras.size(), 1u) << published.file;
    EXPECT_EQ(fs::path(model.loras[0].path), file);
    EXPECT_EQ(model.defaults.steps, static_cast<int>(published.levels.size())) << published.file;
    EXPECT_EQ(model.defaults.guidance_scale, 1.0) << published.file;
    const std::vector<double> levels = levels_of(model);
    ASSERT_EQ(levels.size(), published.levels.size()) << published.file;
    for (size_t i = 0; i < levels.size(); ++i)
      EXPECT_NEAR(levels[i], published.levels[i], 1e-6) << published.file << " level " << i;
    EXPECT_THAT(model.notices, Contains(HasSubstr("turbo: " + file.filename().string())))
        << published.file;
    fs::remove_all(model_ / "loras");
  }
}

TEST_F(Turbo, GivesEachExpertTheLoraThatIsNamedAfterIt) {
  take_model("t2v_two_experts");
  write_lora("Wan2.2-Lightning/low_noise_model.safetensors");
  write_lora("Wan2.2-Lightning/high_noise_model.safetensors");
  write_lora("a_lightx2v_for_any.safetensors");
  const ModelInfo model = read();
  ASSERT_EQ(model.loras.size(), 2u);
  EXPECT_THAT(model.loras[0].path, HasSubstr("high_noise_model"));
  EXPECT_EQ(model.loras[0].expert, "high");
  EXPECT_THAT(model.loras[1].path, HasSubstr("low_noise_model"));
  EXPECT_EQ(model.loras[1].expert, "low");
  EXPECT_EQ(model.defaults.guidance_scale_2, 1.0);
}

TEST_F(Turbo, TakesTheLoraThatIsNamedAfterTheModelsForm) {
  take_model("t2v_two_experts");
  for (const char* form : {"i2v", "t2v"}) {
    for (const char* expert : {"high", "low"})
      write_lora(
          fmt::format("wan2.2_{}_lightx2v_4steps_lora_v1_{}_noise.safetensors", form, expert));
  }
  const ModelInfo two = read();
  ASSERT_EQ(two.loras.size(), 2u);
  EXPECT_THAT(two.loras[0].path, HasSubstr("t2v_lightx2v_4steps_lora_v1_high_noise"));
  EXPECT_THAT(two.loras[1].path, HasSubstr("t2v_lightx2v_4steps_lora_v1_low_noise"));

  const std::pair<const char*, const char*> kModels[] = {{"t2v_unipc", "T2V"}, {"i2v", "I2V"}};
  for (const auto& [model, form] : kModels) {
    take_model(model);
    for (const char* other : {"I2V", "T2V"})
      write_lora(std::string("lightx2v_") + other + "_14B.safetensors");
    EXPECT_THAT(read().loras.at(0).path, HasSubstr(std::string("lightx2v_") + form)) << model;
  }
}

TEST_F(Turbo, OfOneExpertTakesOneForAnExpertLast) {
  take_model("t2v_unipc");
  write_lora("a_t2v_lightx2v_high_noise.safetensors");
  EXPECT_THAT(read().loras.at(0).path, HasSubstr("high_noise"));
  write_lora("lightx2v.safetensors");
  EXPECT_THAT(read().loras.at(0).path, HasSubstr("/lightx2v"));
  write_lora("a_i2v_lightx2v.safetensors");
  EXPECT_THAT(read().loras.at(0).path, HasSubstr("/lightx2v"));
}

TEST_F(Turbo, TakesOneOfWhichAllFindsItsPlaceFirst) {
  take_model("t2v_unipc");
  write_lora("a_t2v_lightx2v.safetensors", 24, /*strange=*/true);
  EXPECT_THAT(read().loras.at(0).path, HasSubstr("a_t2v"));
  write_lora("b_t2v_lightx2v.safetensors");
  EXPECT_THAT(read().loras.at(0).path, HasSubstr("b_t2v"));
}

TEST_F(Turbo, TakesTheScheduleOfALoraGivenByHandAndAddsNone) {
  take_model("t2v_unipc");
  const fs::path given = write_lora("Wan21_CausVid_14B_T2V_lora_rank32.safetensors");
  write_lora("a_lightx2v.safetensors");
  const ModelInfo model = read({.loras = {{given.string(), 0.5, ""}}, .turbo = true});
  ASSERT_EQ(model.loras.size(), 1u);
  EXPECT_EQ(model.loras[0].weight, 0.5);
  EXPECT_EQ(model.defaults.steps, 6);
}

TEST_F(Turbo, SaysWhichNamesItDoesNotKnow) {
  take_model("t2v_unipc");
  write_lora("anime_style.safetensors");
  const Error error = error_of([&] { read(); });
  EXPECT_EQ(error.kind(), ErrorKind::NotFound);
  EXPECT_THAT(error.what(), HasSubstr("of anime_style.safetensors none has a known name"));
  for (const char* name :
       {"lightx2v", "Lightning", "self-forcing", "CausVid", "FastWan", "--lora FILE"})
    EXPECT_THAT(error.what(), HasSubstr(name));
}

TEST_F(Turbo, SaysThatALoraIsForAnotherModel) {
  take_model("t2v_unipc");
  write_lora("lightx2v.safetensors", 40);
  const Error error = error_of([&] { read(); });
  EXPECT_EQ(error.kind(), ErrorKind::NotFound);
  EXPECT_THAT(error.what(), HasSubstr("none that fits"));
  EXPECT_THAT(error.what(), HasSubstr("lightx2v.safetensors"));
}

TEST_F(Turbo, SaysWhereItLooked) {
  take_model("t2v_unipc");
  const Error error = error_of([&] { read(); });
  EXPECT_THAT(error.what(), HasSubstr("there is none in " + (model_ / "loras").string()));
}

}  // namespace
}  // namespace sora
