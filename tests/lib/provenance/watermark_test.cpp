#include "lib/provenance/watermark.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "lib/media/video_writer.h"
#include "lib/provenance/visible_mark.h"
#include "lib/provenance/watermark_code.h"
#include "lib/provenance/watermark_pattern.h"
#include "tests/lib/provenance/watermark_clips.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

constexpr uint64_t kPayload = 0x0123456789ABCDEF;

// [H,W] or [F,H,W] in levels of 255 -> u8 [F,H,W,3].
at::Tensor grey(const at::Tensor& pictures, int64_t num_frames) {
  return pictures.clamp(0, 255)
      .to(at::kByte)
      .unsqueeze(-1)
      .expand({num_frames, pictures.size(-2), pictures.size(-1), 3})
      .contiguous();
}

// A picture of waves and a hard edge with noise on it, which moves from frame to frame.
at::Tensor clip(int64_t num_frames, int64_t height = 192, int64_t width = 320) {
  const at::Tensor noise = (uniform({height, width + 4 * num_frames}, 7) * 24 - 12).to(at::kFloat);
  const at::Tensor y = at::arange(height, at::kFloat).unsqueeze(1);
  const at::Tensor x = at::arange(width + 4 * num_frames, at::kFloat).unsqueeze(0);
  const at::Tensor wide =
      at::sin(x / 37) * at::cos(y / 23) * 60 + 120 + (x > 150).to(at::kFloat) * 40 + noise;
  std::vector<at::Tensor> frames;
  for (int64_t i = 0; i < num_frames; ++i) frames.push_back(wide.narrow(1, 4 * i, width));
  return grey(at::stack(frames), num_frames);
}

std::optional<WatermarkReading> read(const at::Tensor& frames) {
  WatermarkDetector detector;
  detector.add(frames);
  return detector.read();
}

double psnr(const at::Tensor& a, const at::Tensor& b) {
  return 10 * std::log10(255.0 * 255.0 /
                         (a.to(at::kDouble) - b.to(at::kDouble)).square().mean().item<double>());
}

TEST(WatermarkCode, CorrectsOneBitInEight) {
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 20; ++trial) {
    const uint64_t payload = random();
    const WatermarkCodeword codeword = encode_watermark(payload);
    std::vector<float> values(codeword.begin(), codeword.end());
    for (int i = 0; i < 32; ++i) values[random() % values.size()] *= -1;
    const auto decoded = decode_watermark(values);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->payload, payload);
    EXPECT_LT(decoded->log2_chance, WatermarkDetector::kMaxLog2Chance);
  }
}

TEST(WatermarkCode, TakesNothingForACodeThatIsNone) {
  std::mt19937_64 random(2);
  std::normal_distribution<float> normal;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<float> values(kWatermarkCodeBits);
    for (float& value : values) value = normal(random);
    const auto decoded = decode_watermark(values);
    EXPECT_TRUE(!decoded || decoded->log2_chance > 0);
  }
  EXPECT_FALSE(decode_watermark(std::vector<float>(kWatermarkCodeBits, 0.0f)));
}

TEST(WatermarkPattern, HasPowerOneAndDependsOnTheKey) {
  const WatermarkCodeword codeword = encode_watermark(kPayload);
  const auto tile = [&](const char* key) {
    const WatermarkPattern pattern(key);
    std::vector<std::complex<float>> signs = pattern.signs(codeword);
    for (auto& sign : signs) sign /= std::sqrt(static_cast<float>(signs.size()));
    return pattern.tile(signs);
  };
  const std::vector<float> one = tile("one"), two = tile("two");
  double power = 0, product = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    power += one[i] * one[i];
    product += one[i] * two[i];
  }
  EXPECT_NEAR(power / static_cast<double>(one.size()), 1, 1e-3);
  EXPECT_LT(std::abs(product) / static_cast<double>(one.size()), 0.3);
}

TEST(Watermark, IsFaintAndReadBack) {
  const at::Tensor frames = clip(4);
  const at::Tensor marked = WatermarkEmbedder(kPayload)(frames);
  EXPECT_GE(psnr(frames, marked), 43);
  const auto reading = read(marked);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->payload, kPayload);
  EXPECT_FALSE(read(frames));
}

// One texture of blobs as large as the pattern's waves, moved on by so many pixels a frame; its
// values lie `contrast` apart before they are averaged over a blob.
at::Tensor blob_clip(int64_t num_frames, double contrast = 250, int64_t right = 0,
                     int64_t down = 0) {
  constexpr int64_t kHeight = 288, kWidth = 480, kBlob = 9;
  const at::Tensor wide =
      blobs(kHeight + down * num_frames, kWidth + right * num_frames, kBlob) * contrast + 128;
  std::vector<at::Tensor> frames;
  for (int64_t t = 0; t < num_frames; ++t)
    frames.push_back(wide.narrow(0, down * t, kHeight).narrow(1, right * t, kWidth));
  return grey(at::stack(frames), num_frames);
}

std::optional<WatermarkReading> read_compressed(const at::Tensor& frames) {
  const ScratchDirectory folder;
  const std::string path = folder / "clip.mp4";
  VideoWriter writer({.path = path,
                      .codec = "h264",
                      .width = frames.size(2),
                      .height = frames.size(1),
                      .fps = {16, 1},
                      .quality = 28});
  writer.write(frames);
  writer.finish();
  return read_watermark(path);
}

// The same pattern added without a look at the picture is the control: the picture drowns it.
TEST(Watermark, IsReadAtCrf28FromABusyPictureThatStandsStill) {
  const at::Tensor frames = blob_clip(8);
  const at::Tensor marked = WatermarkEmbedder(kPayload)(frames);
  EXPECT_GE(psnr(frames, marked), 43);
  const auto reading = read_compressed(marked);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->payload, kPayload);

  const WatermarkPattern pattern(watermark_key());
  std::vector<std::complex<float>> signs = pattern.signs(encode_watermark(kPayload));
  std::vector<float> values = pattern.tile(signs);
  const at::Tensor tile =
      at::from_blob(values.data(), {kWatermarkTile, kWatermarkTile}).repeat({3, 4});
  const at::Tensor part = tile.narrow(0, 0, frames.size(1)).narrow(1, 0, frames.size(2));
  const double amplitude = 255 / std::pow(10.0, WatermarkEmbedder::kPsnr / 20);
  const at::Tensor mark =
      (part * (amplitude / part.square().mean().sqrt().item<double>())).unsqueeze(2);
  const at::Tensor blind = (frames.to(at::kFloat) + mark).round().clamp(0, 255).to(at::kByte);
  EXPECT_FALSE(read_compressed(blind));
}

// The texture outweighs a pattern that stays; in the difference of frames it cancels, also at half
// size.
TEST(Watermark, IsReadFromAPictureThatStandsStillWhereItsSignChanges) {
  const at::Tensor frames = blob_clip(24);
  const at::Tensor marked = WatermarkEmbedder(kPayload)(frames);
  EXPECT_GE(psnr(frames, marked), 43);
  const at::Tensor planes = marked.select(3, 1).unsqueeze(1).to(at::kFloat);
  const at::Tensor half = grey(at::avg_pool2d(planes, {2, 2}).select(1, 0), 24);
  const auto reading = read_compressed(half);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->payload, kPayload);
  EXPECT_FALSE(read_compressed(half.narrow(0, 8, 8))) << "frames of one sign alone";

  const at::Tensor change = marked.select(3, 1).to(at::kFloat) - frames.select(3, 1).to(at::kFloat);
  EXPECT_LT((change[12] * change[20]).mean().item<double>(), -2);
  EXPECT_LT(change[16].square().mean().item<double>(), change[18].square().mean().item<double>());
}

// In the sum of frames the texture outweighs the pattern by far; it moves as a whole, and is taken
// away.
TEST(Watermark, IsReadAtCrf28FromABusyPictureThatMoves) {
  const at::Tensor frames = blob_clip(24, 700, 2, 1);
  const at::Tensor marked = WatermarkEmbedder(kPayload)(frames);
  EXPECT_GE(psnr(frames, marked), 43);
  const auto reading = read_compressed(marked);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->payload, kPayload);
}

// The pattern is planned along the clip, not by how its frames are handed over.
TEST(Watermark, IsTheSameHoweverFramesAreHandedOver) {
  const at::Tensor frames = clip(12);
  const at::Tensor together = WatermarkEmbedder(kPayload)(frames);
  WatermarkEmbedder embed(kPayload);
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : frames.split(5)) parts.push_back(embed(part));
  EXPECT_TRUE(at::equal(together, at::cat(parts)));
}

TEST(Watermark, IdIsTheBeginningOfTheManifestsDigest) {
  // printf '{}' | sha256sum
  EXPECT_EQ(watermark_id(watermark_payload("{}")), "44136fa355b3678a");
}

TEST(Watermark, IsLookedForInAFilmOfAnyLength) {
  const ScratchDirectory scratch;
  std::string film = "YUV4MPEG2 W16 H16 F30:1 Ip A1:1 Cmono\n";
  for (int frame = 0; frame < 36'100; ++frame)
    film += "FRAME\n" + std::string(256, static_cast<char>(frame));
  scratch.write("film.y4m", film);
  Observer observer;
  EXPECT_FALSE(read_watermark((scratch / "film.y4m").string(), observer));
}

TEST(VisibleMark, StandsAtTheBottomRightAndReadsOnAnyGround) {
  const VisibleMark mark(854, 480);
  EXPECT_GT(mark.left(), 854 / 2);
  EXPECT_GT(mark.top(), 480 * 9 / 10);
  EXPECT_GE(mark.height(), 14);
  for (const int ground : {0, 128, 255}) {
    const at::Tensor frames = at::full({2, 480, 854, 3}, ground, at::kByte);
    const at::Tensor marked = mark(frames);
    const at::Tensor corner =
        marked.narrow(1, mark.top(), mark.height()).narrow(2, mark.left(), mark.width());
    EXPECT_GT(corner.max().item<int>() - corner.min().item<int>(), 80) << ground;
    const at::Tensor changed = (marked != frames);
    EXPECT_EQ(changed.sum().item<int64_t>(), (corner != ground).sum().item<int64_t>())
        << "nothing beside it changes";
  }
}

TEST(VisibleMark, LeavesTinyFramesAlone) {
  const at::Tensor frames = at::full({1, 16, 16, 3}, 9, at::kByte);
  EXPECT_TRUE(at::equal(VisibleMark(16, 16)(frames), frames) || VisibleMark(16, 16).width() > 0);
}

}  // namespace
}  // namespace sora
