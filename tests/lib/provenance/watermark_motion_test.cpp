#include "lib/provenance/watermark_motion.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/lib/provenance/watermark_clips.h"

namespace sora {
namespace {

constexpr int64_t kFrames = 24, kHeight = 192, kWidth = 256;

struct Camera {
  double right = 0, down = 0;  // pixels a frame
  double zoom = 1;             // from frame to frame
};

// A window of a texture that the camera sees, and a wave that stays, [F,H,W] of about -100 to 100.
struct Scene {
  at::Tensor moving = at::empty({kFrames, kHeight, kWidth});
  at::Tensor staying;

  explicit Scene(const Camera& camera) {
    constexpr int64_t kMargin = 64, kFine = 2;  // the texture is drawn in halves of pixels
    const at::Tensor texture =
        blobs(kFine * (kHeight + kMargin), kFine * (kWidth + kMargin), 9 * kFine);
    const at::Tensor wide = texture * (25 / texture.std().item<double>());
    for (int64_t t = 0; t < kFrames; ++t) {
      const double size = kFine / std::pow(camera.zoom, static_cast<double>(t));
      const int64_t height = std::lround(size * kHeight), width = std::lround(size * kWidth);
      const auto moved = static_cast<double>(kFine * t);
      const int64_t y = (kFine * kHeight - height) / 2 + std::lround(moved * camera.down);
      const int64_t x = (kFine * kWidth - width) / 2 + std::lround(moved * camera.right);
      const at::Tensor seen = wide.narrow(0, y, height).narrow(1, x, width);
      moving[t] = at::upsample_bilinear2d(seen.unsqueeze(0).unsqueeze(0), {kHeight, kWidth},
                                          /*align_corners=*/false)[0][0];
    }
    staying = at::cos(at::arange(kWidth) * (2 * 3.14159265 / 16)).unsqueeze(0) * 5;
  }

  std::vector<at::Tensor> frames() const {
    return (moving + staying).round().clamp(-127, 127).to(at::kChar).unbind(0);
  }
};

TEST(WatermarkMotion, LeavesWhatStaysOfAPictureThatMoves) {
  for (const Camera& camera : {Camera{2, 0}, {1.5, 1}, {0.5, 2.5}, {0, 0, 1.01}, {1, 0.5, 1.005}}) {
    SCOPED_TRACE(testing::Message() << camera.right << " " << camera.down << " " << camera.zoom);
    const Scene scene(camera);
    const std::vector<at::Tensor> rest_HW = without_moving_picture(scene.frames());
    ASSERT_EQ(rest_HW.size(), static_cast<size_t>(kFrames));
    const at::Tensor mean = at::stack(rest_HW).to(at::kFloat).mean(0);
    const double kept =
        ((mean * scene.staying).mean() / scene.staying.square().mean()).item<double>();
    EXPECT_GT(kept, 0.7);
    const double left_over = (mean - kept * scene.staying).std().item<double>();
    EXPECT_LT(left_over, 0.25 * scene.moving.mean(0).std().item<double>());
  }
}

TEST(WatermarkMotion, TakesNothingFromAPictureThatStands) {
  EXPECT_TRUE(without_moving_picture(Scene({}).frames()).empty());
  EXPECT_TRUE(without_moving_picture({at::zeros({64, 64}, at::kChar)}).empty());
}

}  // namespace
}  // namespace sora
