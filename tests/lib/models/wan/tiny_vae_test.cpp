// Against TAEHV's own code: tests/data/tiny_vae.
#include "lib/models/wan/tiny_vae.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lib/models/tiny_vae_choice.h"
#include "tests/error_of.h"
#include "tests/lib/models/wan/vae_fixture.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kForms = fs::path(SORA_TEST_DATA) / "tiny_vae";

TinyVae open_form(const std::string& form, at::ScalarType dtype) {
  const auto checkpoint =
      std::make_shared<const Checkpoint>(Checkpoint::open(kForms / (form + ".safetensors")));
  return {TinyVaeConfig::from_shapes(*checkpoint), Weights(checkpoint, dtype, test_device())};
}

std::vector<at::Tensor> chunks_of(const TinyVae& vae, const at::Tensor& latents_NTCHW) {
  std::vector<at::Tensor> chunks;
  vae.decode(latents_NTCHW.transpose(1, 2),
             [&](const at::Tensor& frames) { chunks.push_back(frames.cpu()); });
  return chunks;
}

class TinyVaeForms : public testing::TestWithParam<std::pair<const char*, int>> {
 protected:
  std::string form() const { return GetParam().first; }
  Checkpoint stored() const {
    return Checkpoint::open(kForms / fmt::format("{}.{}.safetensors", form(), GetParam().second));
  }
  // As the reference gives them: [N,T,C,H,W] in [0,1].
  static at::Tensor wanted(const Checkpoint& stored) {
    return stored.get("frames").transpose(1, 2).mul(2).sub(1);
  }
  const OneThread one_thread_;
};

TEST_P(TinyVaeForms, DecodesAsItsAuthorsCodeDoes) {
  const Checkpoint given = stored();
  const at::Tensor frames =
      at::cat(chunks_of(open_form(form(), at::kFloat), given.get("latents")), 2);
  EXPECT_LE(greatest_difference(frames, wanted(given)), 1e-5);
}

TEST_P(TinyVaeForms, Bf16IsAsNearAsItsAuthorsCodeIs) {
  const Checkpoint given = stored();
  const at::Tensor frames =
      at::cat(chunks_of(open_form(form(), at::kBFloat16), given.get("latents")), 2);
  const at::Tensor theirs = given.get("frames_bf16").to(at::kFloat).transpose(1, 2).mul(2).sub(1);
  // Sums are rounded at other places than theirs, so that the distances are alike, not the same.
  EXPECT_LE(relative_error(frames, wanted(given)), 1.1 * relative_error(theirs, wanted(given)));
}

TEST_P(TinyVaeForms, HandsOverAFrameAndThenFourAtATime) {
  const Checkpoint given = stored();
  const std::vector<at::Tensor> chunks =
      chunks_of(open_form(form(), at::kFloat), given.get("latents"));
  ASSERT_EQ(static_cast<int>(chunks.size()), GetParam().second);
  for (size_t i = 0; i < chunks.size(); ++i) EXPECT_EQ(chunks[i].size(2), i == 0 ? 1 : 4);
}

INSTANTIATE_TEST_SUITE_P(Forms, TinyVaeForms,
                         testing::Values(std::pair{"taew2_1", 1}, std::pair{"taew2_1", 3},
                                         std::pair{"taew2_2", 1}, std::pair{"taew2_2", 3}));

ModelInfo model_of(int64_t z_dim, int64_t spatial) {
  ModelInfo model;
  model.name = "a model";
  model.vae.z_dim = z_dim;
  model.vae.scale_factor_spatial = spatial;
  return model;
}

TEST(TinyVaeChoice, TakesTheFileNamedIfItFits) {
  ModelInfo model = model_of(16, 8);
  const std::string path = (kForms / "taew2_1.safetensors").string();
  choose_tiny_vae({.tiny_vae = path}, model);
  EXPECT_EQ(model.parts.tiny_vae, path);
}

TEST(TinyVaeChoice, SaysWhyAFileDoesNotFit) {
  ModelInfo model = model_of(16, 8);
  const Error error = error_of(
      [&] { choose_tiny_vae({.tiny_vae = (kForms / "taew2_2.safetensors").string()}, model); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_THAT(error.what(), HasSubstr("48 channels at 16x16x4"));
  EXPECT_EQ(error_of([&] { choose_tiny_vae({.tiny_vae = "/nowhere.safetensors"}, model); }).kind(),
            ErrorKind::NotFound);
  const Error no_decoder = error_of(
      [&] { choose_tiny_vae({.tiny_vae = (kForms / "taew2_1.1.safetensors").string()}, model); });
  EXPECT_THAT(no_decoder.what(), HasSubstr("there is no decoder.1.weight"));
}

TEST(TinyVaeChoice, FindsTheOneThatFitsAmongTheModelsFiles) {
  const fs::path root = fs::temp_directory_path() / "sora_tiny_vae_choice";
  fs::remove_all(root);
  fs::create_directories(root / "vae_approx");
  fs::create_directories(root / "diffusion_models");
  ModelInfo model = model_of(48, 16);
  model.path = root / "diffusion_models" / "wan.safetensors";
  ModelFiles files{.models_dir = root.string(), .draft = true};
  const Error missing = error_of([&] { choose_tiny_vae(files, model); });
  EXPECT_EQ(missing.kind(), ErrorKind::NotFound);
  EXPECT_THAT(missing.what(), HasSubstr("vae_approx"));
  for (const char* form : {"taew2_1", "taew2_2"}) {
    const std::string name = std::string(form) + ".safetensors";
    fs::copy_file(kForms / name, root / "vae_approx" / name);
  }
  choose_tiny_vae(files, model);
  EXPECT_EQ(model.parts.tiny_vae.filename(), "taew2_2.safetensors");
  fs::remove_all(root);
}

}  // namespace
}  // namespace sora
