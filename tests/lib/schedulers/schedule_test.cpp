#include "lib/schedulers/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sora {
namespace {

TEST(Linspace, HoldsBothEndsExactly) {
  const std::vector<double> points = linspace(1, 0.001, 51);
  ASSERT_EQ(points.size(), 51u);
  EXPECT_EQ(points.front(), 1.0);
  EXPECT_EQ(points.back(), 0.001);
  EXPECT_EQ(linspace(3, 9, 1), std::vector<double>{3.0});
  EXPECT_TRUE(linspace(3, 9, 0).empty());
}

TEST(Shifted, KeepsTheEndsAndRaisesTheMiddle) {
  EXPECT_EQ(shifted(0, 5), 0.0);
  EXPECT_EQ(shifted(1, 5), 1.0);
  EXPECT_DOUBLE_EQ(shifted(0.5, 3), 0.75);
  EXPECT_EQ(shifted(0.3, 1), 0.3);
}

TEST(StretchToTerminal, MovesTheLastLevelAndKeepsTheFirst) {
  std::vector<double> sigmas = {1.0, 0.5, 0.02};
  stretch_to_terminal(sigmas, 0.1);
  EXPECT_EQ(sigmas[0], 1.0);
  EXPECT_NEAR(sigmas[2], 0.1, 1e-15);
  std::vector<double> single = {1.0};
  stretch_to_terminal(single, 0.1);
  EXPECT_EQ(single, std::vector<double>{1.0});
}

TEST(KarrasSigmas, AreEvenInTheSeventhRoot) {
  const std::vector<double> sigmas = karras_sigmas(1, 0.01, 5);
  EXPECT_DOUBLE_EQ(sigmas.front(), 1.0);
  EXPECT_NEAR(sigmas.back(), 0.01, 1e-15);
  const double gap = std::pow(sigmas[0], 1 / 7.0) - std::pow(sigmas[1], 1 / 7.0);
  EXPECT_NEAR(std::pow(sigmas[3], 1 / 7.0) - std::pow(sigmas[4], 1 / 7.0), gap, 1e-12);
}

TEST(ExponentialSigmas, AreEvenInTheLogarithm) {
  const std::vector<double> sigmas = exponential_sigmas(1, 0.0001, 5);
  EXPECT_NEAR(sigmas[2], 0.01, 1e-15);
}

}  // namespace
}  // namespace sora
