// Against diffusers' AutoencoderKLWan in three forms: tests/data/vae.
#include "lib/models/wan/vae.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/lib/models/wan/vae_fixture.h"

namespace sora {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kFloatTolerance = 1e-5;

class WanVaeOf : public ::testing::TestWithParam<std::string> {
 protected:
  const OneThread one_thread_;
  const c10::InferenceMode inference_;
  const VaeForm form_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Forms, WanVaeOf, ::testing::Values("wan21", "wan22", "other"),
                         [](const auto& info) { return info.param; });

TEST_P(WanVaeOf, EncodesAsDiffusersDoes) {
  const WanVae vae = form_.load(at::kFloat, WanVaeParts::Encoder);
  const Checkpoint expected = form_.tensors("encode");
  const at::Tensor video = expected.get("video");
  for (const int64_t frames : {1, 5, 9, 17}) {
    const at::Tensor mode = expected.get("moments." + std::to_string(frames)).chunk(2, 1)[0];
    const at::Tensor found = vae.encode(video.narrow(2, 0, frames)).cpu();
    EXPECT_LT(greatest_difference(form_.denormalised(found), mode), kFloatTolerance) << frames;
  }
}

TEST_P(WanVaeOf, DecodesAsDiffusersDoes) {
  const WanVae vae = form_.load(at::kFloat, WanVaeParts::Decoder);
  const Checkpoint expected = form_.tensors("decode");
  const at::Tensor latents = form_.normalised(expected.get("latents"));
  for (const int64_t frames : {1, 5, 9, 17}) {
    const at::Tensor found = decode_all(vae, latents.narrow(2, 0, (frames - 1) / 4 + 1));
    const at::Tensor wanted = expected.get("video").narrow(2, 0, frames);
    EXPECT_LT(greatest_difference(found, wanted), kFloatTolerance) << frames;
  }
}

// Not further from float32 than diffusers' own bf16 is, but for the chance in both figures: they
// are root mean squares of as few as 135 rounding errors, others with each form of the kernels.
TEST_P(WanVaeOf, RunsInBf16AsCloselyAsDiffusersDoes) {
  constexpr double kChance = 1.6;
  const WanVae vae = form_.load(at::kBFloat16);
  const Checkpoint encoded = form_.tensors("encode");
  const at::Tensor mode = encoded.get("moments.9").chunk(2, 1)[0];
  const at::Tensor diffusers_mode = encoded.get("moments_bf16.9").chunk(2, 1)[0];
  const at::Tensor found =
      form_.denormalised(vae.encode(encoded.get("video").narrow(2, 0, 9)).cpu());
  EXPECT_LT(relative_error(found, mode), kChance * relative_error(diffusers_mode, mode));

  const Checkpoint decoded = form_.tensors("decode");
  const at::Tensor video = decoded.get("video").narrow(2, 0, 9);
  const at::Tensor latents = form_.normalised(decoded.get("latents")).narrow(2, 0, 3);
  EXPECT_LT(relative_error(decode_all(vae, latents), video),
            kChance * relative_error(decoded.get("video_bf16.9"), video));
}

TEST_P(WanVaeOf, HandsOverOneFrameThenFourAtATime) {
  const WanVae vae = form_.load(at::kFloat, WanVaeParts::Decoder);
  std::vector<int64_t> counts;
  vae.decode(form_.tensors("decode").get("latents"), [&](const at::Tensor& frames) {
    counts.push_back(frames.size(2));
    EXPECT_EQ(frames.scalar_type(), at::kFloat);
    EXPECT_TRUE(frames.permute({0, 2, 3, 4, 1}).is_contiguous());
  });
  EXPECT_THAT(counts, ElementsAre(1, 4, 4, 4, 4));
}

TEST_P(WanVaeOf, ReadsOneFrameThenFourAtATime) {
  const WanVae vae = form_.load(at::kFloat, WanVaeParts::Encoder);
  const at::Tensor video = form_.tensors("encode").get("video");
  std::vector<std::pair<int64_t, int64_t>> reads;
  const at::Tensor streamed = vae.encode(9, [&](int64_t first, int64_t count) {
    reads.emplace_back(first, count);
    return video.narrow(2, first, count);
  });
  EXPECT_THAT(reads, ElementsAre(std::pair(0, 1), std::pair(1, 4), std::pair(5, 4)));
  EXPECT_TRUE(at::equal(streamed, vae.encode(video.narrow(2, 0, 9))));
}

TEST_P(WanVaeOf, TreatsEachClipOfABatchByItself) {
  const WanVae vae = form_.load(at::kFloat);
  const Checkpoint decoded = form_.tensors("decode");
  const at::Tensor latents = form_.normalised(decoded.get("latents"));
  const at::Tensor pair = decode_all(vae, at::cat({latents.flip(3), latents}));
  EXPECT_LT(greatest_difference(pair.narrow(0, 1, 1), decoded.get("video")), kFloatTolerance);
  EXPECT_TRUE(at::equal(pair.narrow(0, 0, 1), decode_all(vae, latents.flip(3))));

  const Checkpoint encoded = form_.tensors("encode");
  const at::Tensor video = encoded.get("video");
  const at::Tensor modes = form_.denormalised(vae.encode(at::cat({video.flip(4), video})).cpu());
  EXPECT_LT(greatest_difference(modes.narrow(0, 1, 1), encoded.get("moments.17").chunk(2, 1)[0]),
            kFloatTolerance);
}

TEST_P(WanVaeOf, GivesTheSameBitsAtAnyNumberOfThreads) {
  if (!test_device().is_cpu()) GTEST_SKIP() << "threads are of processors";
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const WanVae vae = form_.load(dtype);
    const at::Tensor latents = form_.tensors("decode").get("latents").narrow(2, 0, 2);
    const at::Tensor video = form_.tensors("encode").get("video").narrow(2, 0, 5);
    at::set_num_threads(1);
    const at::Tensor frames = decode_all(vae, latents), modes = vae.encode(video);
    at::set_num_threads(2);
    EXPECT_TRUE(at::equal(frames, decode_all(vae, latents))) << dtype;
    EXPECT_TRUE(at::equal(modes, vae.encode(video))) << dtype;
  }
}

TEST_P(WanVaeOf, LeavesTheCallersTensorsAlone) {
  const WanVae vae = form_.load(at::kFloat);
  const at::Tensor latents = form_.tensors("decode").get("latents").clone();
  const at::Tensor video = form_.tensors("encode").get("video").to(at::kFloat).clone();
  const at::Tensor latents_before = latents.clone(), video_before = video.clone();
  decode_all(vae, latents);
  vae.encode(video);
  EXPECT_TRUE(at::equal(latents, latents_before));
  EXPECT_TRUE(at::equal(video, video_before));
}

TEST_P(WanVaeOf, RefusesWhatIsOffItsGrid) {
  const WanVae vae = form_.load(at::kFloat);
  const at::Tensor video = form_.tensors("encode").get("video");
  const Error frames = error_of([&] { vae.encode(video.narrow(2, 0, 4)); });
  EXPECT_EQ(frames.kind(), ErrorKind::Input);
  EXPECT_THAT(frames.what(), HasSubstr("4n+1"));
  EXPECT_THAT(error_of([&] { vae.encode(video.narrow(4, 0, 7)); }).what(),
              HasSubstr("multiples of"));
  EXPECT_THAT(error_of([&] {
                decode_all(vae, at::zeros({1, 2, 1, 4, 4}));
              }).what(),
              HasSubstr("[1, 2, 1, 4, 4] cannot be decoded"));
}

TEST(WanVae, LoadsThePartsAskedForAndNoOthers) {
  const VaeForm form("wan22");
  const c10::InferenceMode inference;
  const WanVae decoder = form.load(at::kFloat, WanVaeParts::Decoder);
  EXPECT_EQ(error_of([&] {
              decoder.encode(at::zeros({1, 3, 1, 16, 16}));
            }).kind(),
            ErrorKind::Internal);
  const WanVae encoder = form.load(at::kFloat, WanVaeParts::Encoder);
  EXPECT_EQ(error_of([&] {
              decode_all(encoder, at::zeros({1, 6, 1, 1, 1}));
            }).kind(),
            ErrorKind::Internal);
}

TEST(WanVae, NamesWeightsThatDoNotFitTheConfig) {
  VaeForm form("wan22");
  form.config.decoder_base_dim += 2;
  const Error shape = error_of([&] { form.load(at::kFloat); });
  EXPECT_EQ(shape.kind(), ErrorKind::Input);
  EXPECT_THAT(shape.what(), HasSubstr("decoder.conv_in.weight"));

  VaeForm larger("wan21");
  larger.config.num_res_blocks = 2;
  EXPECT_THAT(error_of([&] { larger.load(at::kFloat); }).what(), HasSubstr("encoder.down_blocks"));

  VaeForm smaller("other");
  smaller.config.num_res_blocks = 1;
  EXPECT_THAT(error_of([&] { smaller.load(at::kFloat, WanVaeParts::Decoder); }).what(),
              HasSubstr("decoder.up_blocks.0.resnets.2"));
}

TEST(WanVae, LeavesFramesUnclampedWhereTheConfigSaysSo) {
  const c10::InferenceMode inference;
  VaeForm form("wan21");
  const at::Tensor latents = form.normalised(form.tensors("decode").get("latents")) * 3;
  const at::Tensor clipped = decode_all(form.load(at::kFloat), latents);
  form.config.clip_output = false;
  const at::Tensor unclipped = decode_all(form.load(at::kFloat), latents);
  EXPECT_GT(unclipped.abs().max().item<double>(), 1.0);
  EXPECT_TRUE(at::equal(unclipped.clamp(-1, 1), clipped));
}

}  // namespace
}  // namespace sora
