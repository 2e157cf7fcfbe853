#include "kernels/linear_int8.h"

#include <gtest/gtest.h>

#include "kernels/cpu/processor.h"
#include "kernels/cpu/tile_linear.h"
#include "tests/kernels/cases.h"

namespace sora::kernels {
namespace {

constexpr cpu::Processor kProcessors[] = {cpu::Processor::Plain, cpu::Processor::Avx2,
                                          cpu::Processor::Avx512, cpu::Processor::Avx512Bf16,
                                          cpu::Processor::Amx};

std::vector<ProductCase> bf16_cases() {
  std::vector<ProductCase> cases = product_cases();
  std::erase_if(cases, [](const ProductCase& each) { return each.dtype != at::kBFloat16; });
  return cases;
}

class LinearInt8Cases : public testing::TestWithParam<ProductCase> {
 protected:
  void SetUp() override {
    at::manual_seed(13);
    const ProductCase& shape = GetParam();
    // Rows of very different size, as tokens have.
    x_ = (at::randn({shape.rows, shape.in}) * at::randn({shape.rows, 1}).exp()).to(shape.dtype);
    weight_ = (at::randn({shape.out, shape.in}) / std::sqrt(static_cast<double>(shape.in)))
                  .to(shape.dtype);
    bias_ = at::randn({shape.out}).to(shape.dtype);
  }
  at::Tensor in_form(cpu::Processor processor, Activation activation) const {
    const at::Tensor y = at::empty({x_.size(0), weight_.size(0)}, x_.options());
    cpu::tile_linear_int8(x_, quantise(weight_), bias_, activation, y, processor);
    return y;
  }
  at::Tensor x_, weight_, bias_;
};

TEST_P(LinearInt8Cases, IsItsDefinitionInEveryForm) {
  for (const Activation activation : {Activation::None, Activation::GeluTanh, Activation::Silu}) {
    const at::Tensor wanted = reference::linear_int8(x_, weight_, bias_, activation);
    // The whole numbers are the same; what follows is rounded to bf16 in either.
    const double allowed = 2 * tolerance(at::kBFloat16, 1, largest(wanted) + 1);
    for (const cpu::Processor processor : kProcessors) {
      if (!cpu::has(processor)) continue;
      EXPECT_LE(largest_difference(in_form(processor, activation), wanted), allowed)
          << cpu::name_of(processor) << ", activation " << static_cast<int>(activation);
    }
  }
}

TEST_P(LinearInt8Cases, IsNearTheExactProduct) {
  const at::Tensor exact = at::matmul(x_.to(at::kDouble), weight_.to(at::kDouble).t());
  const at::Tensor y = linear_int8(x_, quantise(weight_), {}).to(at::kDouble);
  // Each number is off by at most half a step, 1/254 of its row's largest.
  const at::Tensor x_size = x_.to(at::kDouble).abs(), w_size = weight_.to(at::kDouble).abs();
  const at::Tensor bound = (at::matmul(x_size.amax(1, true).expand_as(x_size), w_size.t()) +
                            at::matmul(x_size, w_size.amax(1, true).expand_as(w_size).t())) /
                               254 * 1.01 +
                           exact.abs() * eps_of(at::kBFloat16) + 1e-30;
  EXPECT_TRUE((y - exact).abs().le(bound).all().item<bool>());
}

TEST_P(LinearInt8Cases, GivesTheSameBytesAtAnyNumberOfThreads) {
  for (const cpu::Processor processor : kProcessors) {
    if (!cpu::has(processor)) continue;
    EXPECT_TRUE(
        same_at_any_number_of_threads([&] { return in_form(processor, Activation::GeluTanh); }));
  }
}

TEST_P(LinearInt8Cases, TakesEveryActivationAndMoreThanTwoDimensions) {
  const at::Tensor y = linear_int8(x_.unsqueeze(0), quantise(weight_), bias_, Activation::Gelu);
  const at::Tensor wanted = reference::linear_int8(x_, weight_, bias_, Activation::Gelu);
  ASSERT_EQ(y.sizes(), (std::vector<int64_t>{1, GetParam().rows, GetParam().out}));
  EXPECT_LE(largest_difference(y[0], wanted), 2 * tolerance(at::kBFloat16, 1, largest(wanted) + 1));
}

TEST_P(LinearInt8Cases, FeedForwardIsTwoProducts) {
  const Int8Weight first = quantise(weight_),
                   second = quantise(at::randn({5, GetParam().out}).to(at::kBFloat16));
  const at::Tensor inner = linear_int8(x_, first, bias_, Activation::GeluTanh);
  EXPECT_TRUE(at::equal(feed_forward_int8(x_, first, bias_, second, {}, Activation::GeluTanh),
                        linear_int8(inner, second, {})));
}

INSTANTIATE_TEST_SUITE_P(Cases, LinearInt8Cases, testing::ValuesIn(bf16_cases()));

TEST(LinearInt8, RowsOfZerosAndOfTinyNumbersGiveTheBias) {
  at::Tensor x = at::zeros({3, 70}).to(at::kBFloat16);
  x[1].fill_(1e-38);
  x[2].fill_(1);
  at::Tensor weight = at::ones({40, 70}).to(at::kBFloat16);
  weight[3].fill_(0);
  const at::Tensor bias = at::full({40}, 0.5).to(at::kBFloat16);
  for (const cpu::Processor processor : kProcessors) {
    if (!cpu::has(processor)) continue;
    const at::Tensor y = at::empty({3, 40}, x.options());
    cpu::tile_linear_int8(x, quantise(weight), bias, Activation::None, y, processor);
    EXPECT_TRUE(y[0].eq(0.5).all().item<bool>()) << cpu::name_of(processor);
    EXPECT_TRUE(y[1].eq(0.5).all().item<bool>()) << cpu::name_of(processor);
    EXPECT_EQ(y[2][0].item<double>(), 70.5) << cpu::name_of(processor);
    EXPECT_EQ(y[2][3].item<double>(), 0.5) << cpu::name_of(processor);
  }
}

TEST(LinearInt8, NanStaysInItsRow) {
  at::Tensor x = at::ones({2, 64}).to(at::kBFloat16);
  x[1][5] = std::numeric_limits<float>::quiet_NaN();
  const Int8Weight weight = quantise(at::ones({32, 64}).to(at::kBFloat16));
  for (const cpu::Processor processor : kProcessors) {
    if (!cpu::has(processor)) continue;
    const at::Tensor y = at::empty({2, 32}, x.options());
    cpu::tile_linear_int8(x, weight, {}, Activation::None, y, processor);
    EXPECT_TRUE(y[0].eq(64).all().item<bool>()) << cpu::name_of(processor);
    EXPECT_TRUE(y[1].isnan().all().item<bool>()) << cpu::name_of(processor);
  }
}

}  // namespace
}  // namespace sora::kernels
