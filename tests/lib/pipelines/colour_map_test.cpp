// The maps of the built-in model against what its own decoder makes of the same latents.
#include "lib/pipelines/colour_map.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lib/media/resample.h"
#include "lib/models/registry.h"
#include "lib/models/wan/parts.h"
#include "lib/models/wan/vae.h"
#include "lib/schedulers/noise.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

#include <ATen/ATen.h>

namespace sora {
namespace {

constexpr int64_t kChannels = 48;
const std::filesystem::path kNano = std::filesystem::path(SORA_SOURCE_DIR) / "models/nano";

Decoder nano_decoder(const ModelInfo& model) {
  const Weights weights(open_weights(WanPart::Vae, model.parts.vae), at::kFloat);
  const auto vae = std::make_shared<const WanVae>(model.vae, weights, WanVaeParts::Decoder);
  return {[vae](const at::Tensor& latents, const Decoder::TakeChunk& take) {
    vae->decode(latents, take);
  }};
}

ModelInfo nano() { return read_model_info("nano", kNano, {}); }

// Smooth latents, as those of pictures are.
at::Tensor smooth_latents(int64_t channels) {
  return at::upsample_bilinear2d(NoiseSource(5).draw({1, channels, 3, 3}), {12, 12}, true)
      .unsqueeze(2)
      .contiguous();
}

// Of the variance of what the decoder draws, the share that a map explains.
double explained_by(const ColourMap& map, const Decoder& decoder) {
  const at::Tensor latents = smooth_latents(kChannels);
  at::Tensor decoded;
  decoder.decode(latents, [&](const at::Tensor& frames_1CFHW) { decoded = frames_1CFHW; });
  const at::Tensor preview_FHWC = ColourMapPreviewer(map)(latents);
  const at::Tensor shown = at::adaptive_avg_pool2d(decoded[0].select(1, 0), {12, 12});
  const at::Tensor drawn = at::adaptive_avg_pool2d(
      preview_FHWC[0].permute({2, 0, 1}).to(at::kFloat).div(127.5).sub(1), {12, 12});
  const double error = (shown - drawn).pow(2).mean().item<double>();
  return 1 - error / (shown - shown.mean({1, 2}, true)).pow(2).mean().item<double>();
}

TEST(ColourMap, WhatIsMeasuredOnTheDecoderExplainsMostOfIt) {
  const Decoder decoder = nano_decoder(nano());
  EXPECT_GT(explained_by(measure_colour_map(decoder, kChannels), decoder), 0.6);
}

TEST(ColourMap, IsMeasuredTheSameEachTime) {
  const Decoder decoder = nano_decoder(nano());
  EXPECT_TRUE(at::equal(measure_colour_map(decoder, kChannels).weight_ZO,
                        measure_colour_map(decoder, kChannels).weight_ZO));
}

TEST(ColourMap, TheBuiltInModelBringsItsOwn) {
  const auto map = read_colour_map(kNano / "preview.json", "any", kChannels);
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(map->weight_ZO.size(1), map->patch * map->patch * 3);
}

TEST(ColourMap, IsKeptUnderTheNameOfItsVae) {
  const ScratchDirectory scratch;
  const std::filesystem::path path = scratch.path() / "map.json";
  ColourMap map;
  map.weight_ZO = at::rand({4, 3}).mul(2).sub(1);
  map.bias_O = at::tensor({0.1F, -0.2F, 0.3F});
  write_colour_map(path, "vae-1", map);
  const auto again = read_colour_map(path, "vae-1", 4);
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(at::equal(again->weight_ZO, map.weight_ZO));
  EXPECT_TRUE(at::equal(again->bias_O, map.bias_O));
  EXPECT_FALSE(read_colour_map(path, "vae-2", 4).has_value());
  EXPECT_FALSE(read_colour_map(scratch.path() / "absent.json", "vae-1", 4).has_value());
}

TEST(ColourMap, DamagedOnesAreErrors) {
  const ScratchDirectory scratch;
  const std::filesystem::path path = scratch.path() / "map.json";
  for (const char* text :
       {"{", "[]", R"({"vae":"v"})", R"({"vae":"v","patch":0,"weight":[[1,2,3]],"bias":[0,0,0]})",
        R"({"vae":"v","patch":1,"weight":[[1,2]],"bias":[0,0,0]})",
        R"({"vae":"v","patch":1,"weight":[[1,2,"3"]],"bias":[0,0,0]})",
        R"({"vae":"v","patch":1,"weight":[[1,2,3],[1,2,3]],"bias":[0,0,0]})"}) {
    std::ofstream(path) << text;
    EXPECT_EQ(error_of([&] { read_colour_map(path, "v", 1); }).kind(), ErrorKind::Input) << text;
  }
}

TEST(ColourMap, APatchOfALatentIsRowsAndColumnsOfColours) {
  ColourMap map;
  map.patch = 2;
  map.weight_ZO = at::zeros({1, 12});
  map.bias_O = at::linspace(-1, 0.1, 12);
  const at::Tensor frames_FHWC = ColourMapPreviewer(map)(at::zeros({1, 1, 1, 1, 1}));
  ASSERT_EQ(frames_FHWC.sizes().vec(), (std::vector<int64_t>{1, 2, 2, 3}));
  EXPECT_TRUE(
      at::equal(frames_FHWC.flatten(), map.bias_O.mul(127.5).add(127.5).round().to(at::kByte)));
}

TEST(ColourMap, TheFirstFrameMayHaveItsOwn) {
  const ScratchDirectory scratch;
  const std::filesystem::path path = scratch.write(
      "map.json",
      R"({"patch":1,"weight":[[0,0,0]],"bias":[0,0,0],"first":{"weight":[[0,0,0]],"bias":[1,-1,1]}})");
  const auto map = read_colour_map(path, "any", 1);
  ASSERT_TRUE(map.has_value());
  const at::Tensor frames_FHWC = ColourMapPreviewer(*map)(at::zeros({1, 1, 2, 1, 1}));
  EXPECT_TRUE(at::equal(frames_FHWC[0].flatten(), at::tensor({255, 0, 255}, at::kByte)));
  EXPECT_TRUE(at::equal(frames_FHWC[1].flatten(), at::tensor({128, 128, 128}, at::kByte)));
}

}  // namespace
}  // namespace sora
