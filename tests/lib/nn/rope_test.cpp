#include "lib/nn/rope.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace sora {
namespace {

TEST(Rotation3d, SplitsAHeadOverFramesRowsAndColumns) {
  constexpr int64_t kHeadWidth = 128;  // 44 numbers for frames, 42 for rows, 42 for columns
  const Rotation rotation = rotation_3d({3, 4, 5}, kHeadWidth);
  ASSERT_EQ(rotation.cos.sizes(), (std::vector<int64_t>{60, 64}));
  const int64_t token = (2 * 4 + 3) * 5 + 4;  // frame 2, row 3, column 4
  const auto expect_angle = [&](int64_t pair, double angle) {
    EXPECT_FLOAT_EQ(rotation.cos[token][pair].item<float>(), static_cast<float>(std::cos(angle)));
    EXPECT_FLOAT_EQ(rotation.sin[token][pair].item<float>(), static_cast<float>(std::sin(angle)));
  };
  expect_angle(0, 2.0);
  expect_angle(21, 2.0 * std::pow(10000.0, -42.0 / 44));
  expect_angle(22, 3.0);
  expect_angle(42, 3.0 * std::pow(10000.0, -40.0 / 42));
  expect_angle(43, 4.0);
  expect_angle(63, 4.0 * std::pow(10000.0, -40.0 / 42));
}

TEST(Rotation3d, GivesANarrowHeadToFramesAlone) {
  const Rotation rotation = rotation_3d({2, 3, 3}, 4);  // 4 / 6 is 0
  EXPECT_EQ(rotation.cos.sizes(), (std::vector<int64_t>{18, 2}));
  EXPECT_FLOAT_EQ(rotation.sin[9][0].item<float>(), static_cast<float>(std::sin(1.0)));
  EXPECT_FLOAT_EQ(rotation.sin[8][0].item<float>(), 0.0F);
}

}  // namespace
}  // namespace sora
