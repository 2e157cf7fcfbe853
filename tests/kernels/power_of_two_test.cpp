#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/processor.h"
#include "tests/kernels/powers.h"

namespace sora::kernels::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class PowerOfTwo : public ::testing::TestWithParam<Processor> {
 protected:
  void SetUp() override {
    if (!has(GetParam())) GTEST_SKIP() << "this processor has no " << name_of(GetParam());
  }
  static std::vector<float> of(const std::vector<float>& x) {
    std::vector<float> y(x.size());
    auto* const powers =
        GetParam() == Processor::Avx512 ? powers_of_two_avx512 : powers_of_two_avx2;
    powers(x.data(), y.data(), static_cast<int64_t>(x.size()));
    return y;
  }
};

INSTANTIATE_TEST_SUITE_P(Processors, PowerOfTwo,
                         ::testing::Values(Processor::Avx2, Processor::Avx512));

TEST_P(PowerOfTwo, IsNearToItsDefinition) {
  std::vector<float> x;
  for (int i = -126 * 4096; i < 128 * 4096; ++i)
    x.push_back(static_cast<float>(i) / 4096.0F + 1e-4F);
  const std::vector<float> y = of(x);
  for (size_t i = 0; i < x.size(); ++i) {
    const double wanted = std::exp2(static_cast<double>(x[i]));
    ASSERT_NEAR(y[i] / wanted, 1.0, 1.1e-4) << x[i];
  }
}

TEST_P(PowerOfTwo, OfWholeNumbersIsExact) {
  std::vector<float> x;
  for (int i = -126; i < 128; ++i) x.push_back(static_cast<float>(i));
  const std::vector<float> y = of(x);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], std::exp2(x[i])) << x[i];
}

TEST_P(PowerOfTwo, IsZeroBelowItsRangeAndInfiniteAbove) {
  for (const float y : of({-126.01F, -130.5F, -149.0F, -1000.0F, -1e30F, -kInfinity}))
    EXPECT_EQ(y, 0.0F);
  for (const float y : of({128.0F, 1000.0F, 1e30F, kInfinity})) EXPECT_EQ(y, kInfinity);
}

TEST_P(PowerOfTwo, LetsNotANumberThrough) {
  EXPECT_TRUE(std::isnan(of({std::numeric_limits<float>::quiet_NaN()})[0]));
}

}  // namespace
}  // namespace sora::kernels::cpu
