#include "lib/provenance/watermark_motion.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/lib/provenance/watermark_clips.h"

namespace sora {
namespace {

constexpr int64_t kFrames = 24, kHeight = 192, kWidth = 256;

// A window of a texture that moves on by so many pixels a frame, and a wave that stays, [F,H,W] of
// about -100 to 100.
struct Scene {
  at::Tensor moving = at::empty({kFrames, kHeight, kWidth});
  at::Tensor staying;

  Scene(double right, double down) {
    constexpr int64_t kMargin = 64, kFine = 2;  // the texture is drawn in halves of pixels
    const at::Tensor texture =
        blobs(kFine * (kHeight + kMargin), kFine * (kWidth + kMargin), 9 * kFine);
    const at::Tensor wide = texture * (25 / texture.std().item<double>());
    for (int64_t t = 0; t < kFrames; ++t) {
      const int64_t x = std::lround(kFine * right * static_cast<double>(t));
      const int64_t y = std::lround(kFine * down * static_cast<double>(t));
      moving[t] = wide.narrow(0, y, kFine * kHeight)
                      .narrow(1, x, kFine * kWidth)
                      .slice(0, 0, c10::nullopt, kFine)
                      .slice(1, 0, c10::nullopt, kFine);
    }
    staying = at::cos(at::arange(kWidth) * (2 * 3.14159265 / 16)).unsqueeze(0) * 5;
  }

  std::vector<at::Tensor> frames() const {
    return (moving + staying).round().clamp(-127, 127).to(at::kChar).unbind(0);
  }
};

TEST(WatermarkMotion, LeavesWhatStaysOfAPictureThatMoves) {
  for (const auto& [right, down] : {std::pair{2.0, 0.0}, {1.5, 1.0}, {0.5, 2.5}}) {
    const Scene scene(right, down);
    const std::vector<at::Tensor> rest_HW = without_moving_picture(scene.frames());
    ASSERT_EQ(rest_HW.size(), static_cast<size_t>(kFrames));
    const at::Tensor mean = at::stack(rest_HW).to(at::kFloat).mean(0);
    const double kept =
        ((mean * scene.staying).mean() / scene.staying.square().mean()).item<double>();
    EXPECT_GT(kept, 0.7) << right << " " << down;
    const double left_over = (mean - kept * scene.staying).std().item<double>();
    EXPECT_LT(left_over, 0.25 * scene.moving.mean(0).std().item<double>()) << right << " " << down;
  }
}

TEST(WatermarkMotion, TakesNothingFromAPictureThatStands) {
  EXPECT_TRUE(without_moving_picture(Scene(0, 0).frames()).empty());
  EXPECT_TRUE(without_moving_picture({at::zeros({64, 64}, at::kChar)}).empty());
}

}  // namespace
}  // namespace sora
