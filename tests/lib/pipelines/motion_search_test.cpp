#include "lib/pipelines/motion_search.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace sora {
namespace {

at::Tensor speckled(int64_t height, int64_t width) {
  return at::avg_pool2d(at::rand({3, height, width}) * 255, 5, 1, 2)
      .permute({1, 2, 0})
      .contiguous();
}

TEST(MotionSearch, FindsWhereAPictureHasMovedTo) {
  const c10::InferenceMode inference;
  at::manual_seed(1);
  for (const auto& [height, width] : {std::pair{48, 64}, {96, 400}}) {
    const at::Tensor from = speckled(height, width), to = from.roll({3, -5}, {0, 1});
    const at::Tensor carried = find_motion(from, to).carry(from);
    const auto middle = [](const at::Tensor& picture) {
      return picture.slice(0, 12, -12).slice(1, 12, -12);
    };
    EXPECT_LT((middle(carried) - middle(to)).abs().mean().item<double>(), 1)
        << height << " x " << width;
  }
}

TEST(MotionSearch, NoiseMovesNothing) {
  const c10::InferenceMode inference;
  at::manual_seed(2);
  const at::Tensor from = speckled(48, 64);
  const at::Tensor carried = find_motion(from, from + at::randn({48, 64, 3}) * 2).carry(from);
  EXPECT_TRUE(at::equal(carried, from));
}

}  // namespace
}  // namespace sora
