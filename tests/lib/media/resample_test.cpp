// Sizes against zscale of the ffmpeg program, rates against what the frames must be.
#include "lib/media/resample.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "lib/core/error.h"
#include "tests/lib/media/ffmpeg_judge.h"

namespace sora {
namespace {

using judge::TemporaryFolder;
using ::testing::ElementsAre;

TEST(FrameRateConverter, MixesNoFramesOverACut) {
  at::Tensor frames = at::full({16, 32, 32, 3}, 10, at::kByte);
  frames.slice(0, 8).fill_(200);
  for (const RateMethod method : {RateMethod::Blend, RateMethod::Motion}) {
    FrameRateConverter converter(Rational(16), Rational(30), method, {15});
    const at::Tensor made = at::cat({converter.push(frames), converter.finish()});
    ASSERT_EQ(made.size(0), 30);
    EXPECT_EQ(made.slice(0, 0, 15).max().item<int>(), 10);
    EXPECT_EQ(made.slice(0, 15).min().item<int>(), 200);
  }
}

TEST(Resizer, AgreesWithZscale) {
  const TemporaryFolder folder;
  const at::Tensor frames = judge::test_clip(2, 45, 80);
  std::ofstream(folder / "raw", std::ios::binary)
      .write(static_cast<const char*>(frames.const_data_ptr()), frames.numel());
  for (const auto& [width, height] : {std::pair<int64_t, int64_t>{160, 90}, {33, 21}, {81, 100}}) {
    const auto raw =
        judge::run(fmt::format("ffmpeg -v error -f rawvideo -pix_fmt rgb24 -s 80x45 -i {} -vf "
                               "format=gbrp,zscale={}:{}:filter=lanczos,format=rgb24 -f "
                               "rawvideo -",
                               folder / "raw", width, height));
    const at::Tensor expected =
        at::from_blob(const_cast<char*>(raw.output.data()), {2, height, width, 3}, at::kByte);
    EXPECT_LE(judge::max_difference(resize(frames, width, height, Fit::Stretch), expected), 1)
        << width;
  }
}

TEST(Resizer, CropsPadsAndStretchesAboutTheMiddle) {
  // Left third red, middle green, right blue.
  at::Tensor frame = at::zeros({30, 90, 3}, at::kByte);
  for (int64_t c = 0; c < 3; ++c) frame.narrow(1, 30 * c, 30).select(2, c).fill_(200);
  const at::Tensor cropped = resize(frame, 60, 60, Fit::Crop);
  EXPECT_EQ(cropped[30][30][1].item<int>(), 200);
  EXPECT_EQ(cropped[30][8][1].item<int>(), 200);
  EXPECT_EQ(cropped[30][52][0].item<int>(), 0);
  const at::Tensor padded = resize(frame, 60, 60, Fit::Pad);
  EXPECT_EQ(padded.narrow(0, 0, 20).max().item<int>(), 0);
  EXPECT_EQ(padded.narrow(0, 40, 20).max().item<int>(), 0);
  EXPECT_EQ(padded[30][5][0].item<int>(), 200);
  EXPECT_EQ(padded[30][55][2].item<int>(), 200);
  const at::Tensor stretched = resize(frame, 60, 60, Fit::Stretch);
  EXPECT_EQ(stretched[3][5][0].item<int>(), 200);
  EXPECT_EQ(stretched[56][55][2].item<int>(), 200);
  EXPECT_TRUE(resize(frame, 90, 30, Fit::Crop).equal(frame));
  EXPECT_THROW(resize(frame, 0, 30, Fit::Crop), Error);
}

// Frame k is grey value 10 k.
at::Tensor staircase(int64_t frames) {
  return (at::arange(frames) * 10)
      .to(at::kByte)
      .view({frames, 1, 1, 1})
      .expand({frames, 40, 48, 3})
      .contiguous();
}

at::Tensor convert(const at::Tensor& frames, Rational from, Rational to, RateMethod method,
                   int64_t chunk = 1000) {
  FrameRateConverter converter(from, to, method);
  std::vector<at::Tensor> parts;
  for (int64_t start = 0; start < frames.size(0); start += chunk) {
    parts.push_back(
        converter.push(frames.slice(0, start, std::min(start + chunk, frames.size(0)))));
  }
  parts.push_back(converter.finish());
  return at::cat(parts);
}

std::vector<int> greys(const at::Tensor& frames) {
  std::vector<int> values;
  for (int64_t f = 0; f < frames.size(0); ++f) values.push_back(frames[f][20][20][0].item<int>());
  return values;
}

TEST(FrameRate, CountsFramesOfTheSameDuration) {
  EXPECT_EQ(resampled_frames(81, 16, 24), 122);
  EXPECT_EQ(resampled_frames(81, 16, 16), 81);
  EXPECT_EQ(resampled_frames(120, 24, 16), 80);
  EXPECT_EQ(resampled_frames(1, 60, 16), 1);
  EXPECT_EQ(resampled_frames(0, 60, 16), 0);
  EXPECT_EQ(resampled_frames(1000, {30000, 1001}, 30), 1001);
}

TEST(FrameRate, BlendsByDistanceInTime) {
  EXPECT_THAT(greys(convert(staircase(3), 10, 40, RateMethod::Blend)),
              ElementsAre(0, 2, 5, 8, 10, 12, 15, 18, 20, 20, 20, 20));
}

TEST(FrameRate, GivesTheSameInChunksOfAnySize) {
  const at::Tensor frames = judge::test_clip(13, 48, 64);
  for (const RateMethod method : {RateMethod::Blend, RateMethod::Motion}) {
    for (const Rational to :
         {Rational(24), Rational(30), Rational(60), Rational(10), Rational(24000, 1001)}) {
      const at::Tensor whole = convert(frames, 16, to, method);
      EXPECT_EQ(whole.size(0), resampled_frames(13, 16, to));
      EXPECT_EQ(judge::max_difference(convert(frames, 16, to, method, 1), whole), 0);
      EXPECT_EQ(judge::max_difference(convert(frames, 16, to, method, 5), whole), 0);
    }
  }
}

TEST(FrameRate, SourceFramesComeOutUntouched) {
  const at::Tensor frames = judge::test_clip(9, 48, 64);
  for (const RateMethod method : {RateMethod::Blend, RateMethod::Motion}) {
    const at::Tensor result = convert(frames, 16, 24, method);
    for (int64_t f = 0; f < 9; f += 2) EXPECT_TRUE(result[f / 2 * 3].equal(frames[f]));
    EXPECT_TRUE(convert(frames, 16, 16, method).equal(frames));
  }
}

TEST(FrameRate, MotionPutsAMovingObjectBetweenItsPlaces) {
  // A disc of soft colours that moves 6 pixels a frame over a soft ground; every other frame is
  // left out.
  const int64_t count = 17, height = 96, width = 176, side = 48;
  const at::Tensor y = at::arange(height).view({height, 1}), x = at::arange(width).view({1, width});
  const auto waves = [](const at::Tensor& a, const at::Tensor& b, double from, double to) {
    const at::Tensor wave =
        (a * 0.11 + (b * 0.07).sin() * 2).sin() * (b * 0.13 + (a * 0.05).cos() * 3).cos();
    return (wave.unsqueeze(-1) * at::tensor({1.0, -0.8, 0.6}) * ((to - from) / 2) + (from + to) / 2)
        .round()
        .to(at::kByte);
  };
  const at::Tensor ground = waves(y, x, 20, 160);
  const at::Tensor disc =
      waves(at::arange(side).view({1, side}) * 2, at::arange(side).view({side, 1}) * 2, 90, 250);
  const at::Tensor inside = ((at::arange(side).view({side, 1}) - side / 2).square() +
                                 (at::arange(side).view({1, side}) - side / 2).square() <
                             22 * 22)
                                .unsqueeze(-1);
  std::vector<at::Tensor> truth;
  for (int64_t f = 0; f < count; ++f) {
    truth.push_back(ground.clone());
    at::Tensor place = truth.back().narrow(0, 24, side).narrow(1, 8 + 6 * f, side);
    place.copy_(at::where(inside, disc, place));
  }
  const at::Tensor all = at::stack(truth);
  const at::Tensor half = all.index({at::indexing::Slice(0, count, 2)});
  const auto mean_error = [&](RateMethod method) {
    const at::Tensor made = convert(half, 8, 16, method).narrow(0, 0, count);
    return (made.to(at::kFloat) - all.to(at::kFloat)).abs().mean().item<double>();
  };
  EXPECT_LT(mean_error(RateMethod::Motion), mean_error(RateMethod::Blend) / 2);
}

TEST(FrameRate, SurvivesPicturesTooSmallForMotion) {
  const at::Tensor frames = judge::test_clip(5, 8, 8);
  EXPECT_EQ(convert(frames, 8, 16, RateMethod::Motion).size(0), 10);
  EXPECT_EQ(convert(frames.narrow(0, 0, 1), 8, 16, RateMethod::Motion).size(0), 2);
  EXPECT_EQ(convert(judge::test_clip(1, 48, 48), 8, 24, RateMethod::Motion).size(0), 3);
  FrameRateConverter converter(8, 16, RateMethod::Motion);
  EXPECT_EQ(converter.finish().size(0), 0);
}

}  // namespace
}  // namespace sora
