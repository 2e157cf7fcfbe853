// Tiled encoding and decoding, against diffusers' after enable_tiling().
#include "lib/models/wan/vae_tiling.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/lib/models/wan/vae_fixture.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

class TiledWanVaeOf : public ::testing::TestWithParam<std::string> {
 protected:
  WanVaeTiling tiling() const {
    const nlohmann::json tile = form_.description("tiled")["tile"];
    return {tile["tile_sample_min_height"], tile["tile_sample_min_width"],
            tile["tile_sample_stride_height"], tile["tile_sample_stride_width"]};
  }

  const OneThread one_thread_;
  const c10::InferenceMode inference_;
  const VaeForm form_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Forms, TiledWanVaeOf, ::testing::Values("wan21", "wan22"),
                         [](const auto& info) { return info.param; });

TEST_P(TiledWanVaeOf, DecodesAsDiffusersDoes) {
  WanVae vae = form_.load(at::kFloat, WanVaeParts::Decoder);
  vae.set_tiling(tiling());
  const Checkpoint expected = form_.tensors("tiled");
  const at::Tensor found = decode_all(vae, form_.normalised(expected.get("latents")));
  EXPECT_LT(greatest_difference(found, expected.get("decoded")), 1e-5);
}

TEST_P(TiledWanVaeOf, EncodesAsDiffusersDoes) {
  WanVae vae = form_.load(at::kFloat, WanVaeParts::Encoder);
  vae.set_tiling(tiling());
  const Checkpoint expected = form_.tensors("tiled");
  const at::Tensor found = form_.denormalised(vae.encode(expected.get("video")).cpu());
  EXPECT_LT(greatest_difference(found, expected.get("moments").chunk(2, 1)[0]), 1e-5);
}

TEST_P(TiledWanVaeOf, LeavesFramesThatFitATileAsTheyAre) {
  WanVae vae = form_.load(at::kFloat);
  const at::Tensor latents = form_.tensors("tiled").get("latents");
  const at::Tensor video = form_.tensors("tiled").get("video");
  const at::Tensor frames = decode_all(vae, latents), modes = vae.encode(video);
  vae.set_tiling(WanVaeTiling{});
  EXPECT_TRUE(at::equal(decode_all(vae, latents), frames));
  EXPECT_TRUE(at::equal(vae.encode(video), modes));
}

TEST_P(TiledWanVaeOf, HandsOverOneFrameThenFourAndAsksBetweenTiles) {
  WanVae vae = form_.load(at::kFloat, WanVaeParts::Decoder);
  vae.set_tiling(tiling());
  std::vector<int64_t> counts;
  int times_asked = 0;
  vae.decode(
      form_.tensors("tiled").get("latents"),
      [&](const at::Tensor& frames) { counts.push_back(frames.size(2)); }, [&] { ++times_asked; });
  EXPECT_EQ(counts.front(), 1);
  for (size_t i = 1; i < counts.size(); ++i) EXPECT_EQ(counts[i], 4);
  EXPECT_GE(times_asked, static_cast<int>(2 * counts.size()));
}

TEST_P(TiledWanVaeOf, RefusesTilesOffItsGrid) {
  WanVae vae = form_.load(at::kFloat, WanVaeParts::Decoder);
  WanVaeTiling odd = tiling();
  odd.stride_width += 1;
  const Error error = error_of([&] { vae.set_tiling(odd); });
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
  EXPECT_THAT(error.what(), HasSubstr("tiles of width"));
  WanVaeTiling gaps = tiling();
  gaps.stride_height = gaps.tile_height + form_.config.scale_factor_spatial;
  EXPECT_THAT(error_of([&] { vae.set_tiling(gaps); }).what(), HasSubstr("tiles of height"));
}

TEST(BlendTiles, FadesLinearlyFromOneTileToTheNext) {
  std::vector<at::Tensor> tiles = {at::zeros({1, 1, 4, 1}), at::ones({1, 1, 4, 1}),
                                   at::full({1, 1, 2, 1}, 5.0)};
  const at::Tensor joined = blend_tiles(tiles, {1, 4, 2}, {6, 4, 2});
  const std::vector<float> expected = {0, 0, 0, 0.5, 1, 3};
  EXPECT_TRUE(at::equal(joined.flatten(), at::tensor(expected))) << joined;
}

}  // namespace
}  // namespace sora
