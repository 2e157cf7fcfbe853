#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/processor.h"
#include "tests/kernels/powers.h"

namespace sora::kernels::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class PowerOfTwo : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has(Processor::Avx512)) GTEST_SKIP() << "this processor has no AVX-512";
  }
  static std::vector<float> of(const std::vector<float>& x) {
    std::vector<float> y(x.size());
    powers_of_two(x.data(), y.data(), static_cast<int64_t>(x.size()));
    return y;
  }
};

TEST_F(PowerOfTwo, IsNearToItsDefinition) {
  std::vector<float> x;
  for (int i = -126 * 4096; i < 128 * 4096; ++i)
    x.push_back(static_cast<float>(i) / 4096.0F + 1e-4F);
  const std::vector<float> y = of(x);
  for (size_t i = 0; i < x.size(); ++i) {
    const double wanted = std::exp2(static_cast<double>(x[i]));
    ASSERT_NEAR(y[i] / wanted, 1.0, 1.1e-4) << x[i];
  }
}

TEST_F(PowerOfTwo, OfWholeNumbersIsExact) {
  std::vector<float> x;
  for (int i = -126; i < 128; ++i) x.push_back(static_cast<float>(i));
  const std::vector<float> y = of(x);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], std::exp2(x[i])) << x[i];
}

TEST_F(PowerOfTwo, IsZeroBelowItsRangeAndInfiniteAbove) {
  for (const float y : of({-126.01F, -130.5F, -149.0F, -1000.0F, -1e30F, -kInfinity}))
    EXPECT_EQ(y, 0.0F);
  for (const float y : of({128.0F, 1000.0F, 1e30F, kInfinity})) EXPECT_EQ(y, kInfinity);
}

TEST_F(PowerOfTwo, LetsNotANumberThrough) {
  EXPECT_TRUE(std::isnan(of({std::numeric_limits<float>::quiet_NaN()})[0]));
}

}  // namespace
}  // namespace sora::kernels::cpu
