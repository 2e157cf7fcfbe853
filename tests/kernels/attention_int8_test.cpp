#include "kernels/attention_int8.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/cpu/flash_attention.h"
#include "tests/kernels/attention_cases.h"
#include "tests/kernels/cases.h"

namespace sora::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kStatedError = 0.03;  // of the result's size, kernels/attention_int8.h

bool is_int8_case(const AttentionCase& each) {
  return each.dtype == at::kBFloat16 && each.head_width % 16 == 0;
}

std::vector<AttentionCase> int8_cases() {
  std::vector<AttentionCase> cases = attention_cases();
  std::erase_if(cases, [](const AttentionCase& each) { return !is_int8_case(each); });
  return cases;
}

class AttentionInt8Cases : public testing::TestWithParam<AttentionCase> {
 protected:
  void SetUp() override {
    if (!cpu::has(cpu::Processor::Avx512Bf16)) GTEST_SKIP() << "this processor has no such form";
    at::manual_seed(5);
    const AttentionCase& shape = GetParam();
    q_ = at::randn({shape.batch, shape.queries, shape.heads, shape.head_width}).to(shape.dtype);
    k_ = at::randn({shape.batch, shape.keys, shape.heads, shape.head_width}).to(shape.dtype);
    v_ = at::randn({shape.batch, shape.keys, shape.heads, shape.head_width}).to(shape.dtype);
    bias_ = at::randn({shape.batch, shape.keys});
  }
  // Root mean square of the difference over that of the values; bf16's own rounding on top.
  void expect_near(const AttentionTerms& terms, double allowed = kStatedError) const {
    const at::Tensor wanted =
        reference::attention(q_.to(at::kFloat), k_.to(at::kFloat), v_.to(at::kFloat), terms);
    const at::Tensor found = cpu::flash_attention_int8(q_, k_, v_, terms);
    ASSERT_EQ(found.sizes(), wanted.sizes());
    const double error = (found.to(at::kFloat) - wanted).square().mean().sqrt().item<double>();
    const double size = wanted.square().mean().sqrt().item<double>();
    EXPECT_LE(error, (allowed + eps_of(at::kBFloat16)) * size);
  }
  at::Tensor q_, k_, v_, bias_;
};

TEST_P(AttentionInt8Cases, IsNearTheEquation) {
  expect_near({});
  expect_near({.bias_BS = bias_});
}

TEST_P(AttentionInt8Cases, MeansOfKeysAndValuesDoNotMatter) {
  // Offsets of many deviations, as channels of trained models have: without smoothing they would take the whole range.
  k_ = k_ + 20 * at::randn({1, 1, GetParam().heads, GetParam().head_width}).to(at::kBFloat16);
  v_ = v_ + 20 * at::randn({1, 1, GetParam().heads, GetParam().head_width}).to(at::kBFloat16);
  expect_near({});
}

TEST_P(AttentionInt8Cases, TakesEveryTerm) {
  const AttentionCase& shape = GetParam();
  AttentionTerms terms = {.bias_BS = bias_};
  terms.num_keys_B = at::randint(1, shape.keys + 1, {shape.batch}, at::kLong);
  terms.table = {at::randn({2, 2}), {shape.queries / 2, shape.queries}, {shape.keys / 3, shape.keys}};
  terms.far = {.window = shape.keys / 3, .factor = 0.5};
  expect_near(terms);
}

TEST_P(AttentionInt8Cases, MinusInfinityHidesAKey) {
  if (GetParam().keys < 2) return;
  bias_.select(1, 1).fill_(-kInfinity);
  expect_near({.bias_BS = bias_});
}

TEST_P(AttentionInt8Cases, TakesLogitsOfAnySize) {
  const int64_t keys = GetParam().keys;
  const at::Tensor slope = at::arange(keys).mul(200.0 / static_cast<double>(keys)).sub_(1000.0);
  const at::Tensor rising = slope.unsqueeze(0).expand({GetParam().batch, keys}).contiguous();
  if (keys > 64) rising.slice(1, 0, 40).fill_(-kInfinity);
  expect_near({.bias_BS = rising});
}

TEST_P(AttentionInt8Cases, TakesDenormalNumbersAndZeros) {
  for (const double factor : {0.0, 1e-39}) {
    q_ = q_ * factor;
    k_ = k_ * factor;
    expect_near({});
    const at::Tensor out = cpu::flash_attention_int8(q_, k_, v_ * factor, {});
    EXPECT_TRUE(at::isfinite(out).all().item<bool>());
    EXPECT_LE(largest(out), 1e-38);
  }
}

TEST_P(AttentionInt8Cases, ReadsTensorsOfAnyStrideAndSharedKeys) {
  const auto spread = [](const at::Tensor& x) {
    const at::Tensor wide =
        at::full({x.size(0), x.size(1), x.size(2) + 1, x.size(3) + 3}, 7.0, x.options());
    return wide.narrow(2, 1, x.size(2)).narrow(3, 2, x.size(3)).copy_(x);
  };
  const at::Tensor k = k_.narrow(0, 0, 1), v = v_.narrow(0, 0, 1);
  const std::vector<int64_t> repeats = {GetParam().batch, 1, 1, 1};
  EXPECT_TRUE(at::equal(cpu::flash_attention_int8(spread(q_), spread(k), spread(v), {}),
                        cpu::flash_attention_int8(q_, k.repeat(repeats), v.repeat(repeats), {})));
}

TEST_P(AttentionInt8Cases, GivesTheSameBytesAtAnyNumberOfThreads) {
  EXPECT_TRUE(same_at_any_number_of_threads(
      [&] { return cpu::flash_attention_int8(q_, k_, v_, {.bias_BS = bias_}); }));
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionInt8Cases, testing::ValuesIn(int8_cases()));

TEST(AttentionInt8, AQueryThatSeesNoKeyGetsNan) {
  if (!cpu::has(cpu::Processor::Avx512Bf16)) GTEST_SKIP() << "this processor has no such form";
  const at::Tensor x = at::randn({1, 40, 1, 32}).to(at::kBFloat16);
  const at::Tensor out =
      cpu::flash_attention_int8(x, x, x, {.bias_BS = at::full({1, 40}, -kInfinity)});
  EXPECT_TRUE(at::isnan(out).all().item<bool>());
}

TEST(AttentionInt8, IsTheExactOneWhereNothingIsGained) {
  const at::Tensor x = at::randn({1, 40, 2, 32});
  EXPECT_TRUE(at::equal(attention_int8(x, x, x), attention(x, x, x)));
}

}  // namespace
}  // namespace sora::kernels
