#include "kernels/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/cpu/processor.h"
#include "kernels/cpu/tile_linear.h"
#include "kernels/cpu/tiles.h"
#include "kernels/feed_forward.h"
#include "tests/kernels/cases.h"

namespace sora::kernels {
namespace {

constexpr Activation kActivations[] = {Activation::None, Activation::GeluTanh, Activation::Gelu,
                                       Activation::Silu, Activation::QuickGelu};

at::Tensor activated_f64(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::None:
      return x;
    case Activation::GeluTanh:
      return x / 2 * (1 + (std::sqrt(2 / M_PI) * (x + 0.044715 * x.pow(3))).tanh());
    case Activation::Gelu:
      return x / 2 * (1 + at::erf(x / std::sqrt(2.0)));
    case Activation::Silu:
      return x / (1 + (-x).exp());
    case Activation::QuickGelu:
      return x / (1 + (-1.702 * x).exp());
  }
  return {};
}

class LinearCases : public testing::TestWithParam<ProductCase> {
 protected:
  void SetUp() override {
    at::manual_seed(11);
    const ProductCase& shape = GetParam();
    x_ = at::randn({shape.rows, shape.in}).to(shape.dtype);
    weight_ = (at::randn({shape.out, shape.in}) / std::sqrt(static_cast<double>(shape.in)))
                  .to(shape.dtype);
    bias_ = at::randn({shape.out}).to(shape.dtype);
  }
  at::Tensor x_, weight_, bias_;
};

TEST_P(LinearCases, IsItsEquationWithEveryActivation) {
  const at::Tensor sums =
      at::matmul(x_.to(at::kDouble), weight_.to(at::kDouble).t()) + bias_.to(at::kDouble);
  for (const at::Tensor& packed : {at::Tensor(), pack(weight_)}) {
    for (const Activation activation : kActivations) {
      const at::Tensor wanted = activated_f64(sums, activation);
      // Twice: where the activation is a second pass in bf16, its input has been rounded as well.
      EXPECT_LE(largest_difference(kernels::linear(x_, weight_, bias_, activation, packed), wanted),
                2 * tolerance(GetParam().dtype, GetParam().in, largest(sums)))
          << "activation " << static_cast<int>(activation) << ", packed " << packed.defined();
    }
  }
}

TEST_P(LinearCases, IsItsEquationInEveryFormForPackedWeights) {
  const at::Tensor packed = pack(weight_);
  if (!packed.defined()) return;
  const at::Tensor sums =
      at::matmul(x_.to(at::kDouble), weight_.to(at::kDouble).t()) + bias_.to(at::kDouble);
  for (const cpu::Processor processor : {cpu::Processor::Avx2, cpu::Processor::Avx512,
                                         cpu::Processor::Avx512Bf16, cpu::Processor::Amx}) {
    if (!cpu::has(processor)) continue;
    const at::Tensor y = at::empty({GetParam().rows, GetParam().out}, x_.options());
    cpu::tile_linear(x_, packed, bias_, Activation::GeluTanh, y, processor);
    EXPECT_LE(largest_difference(y, activated_f64(sums, Activation::GeluTanh)),
              2 * tolerance(GetParam().dtype, GetParam().in, largest(sums)))
        << cpu::name_of(processor);
    EXPECT_TRUE(same_at_any_number_of_threads([&] {
      cpu::tile_linear(x_, packed, bias_, Activation::GeluTanh, y, processor);
      return y.clone();
    }));
  }
}

// What takes the libraries' place on some processors, and the operands where no vector begins.
TEST_P(LinearCases, IsItsEquationByOwnMatrixProducts) {
  const struct {
    cpu::Processor processor;
    at::ScalarType dtype;
    cpu::MultiplyMatrix* multiply;
  } forms[] = {{cpu::Processor::Avx2, at::kFloat, cpu::multiply_matrix_f32_avx2},
               {cpu::Processor::Avx2, at::kBFloat16, cpu::multiply_matrix_bf16_avx2},
               {cpu::Processor::Avx512, at::kFloat, cpu::multiply_matrix_f32_avx512}};
  const auto apart = [](const at::Tensor& x) {
    return at::zeros({x.size(0), x.size(1) + 3}, x.options()).narrow(1, 1, x.size(1)).copy_(x);
  };
  const at::Tensor wanted =
      at::matmul(x_.to(at::kDouble), weight_.to(at::kDouble).t()) + bias_.to(at::kDouble);
  for (const auto& form : forms) {
    if (!cpu::has(form.processor) || form.dtype != GetParam().dtype) continue;
    const at::Tensor y = cpu::matrix_product(x_, weight_, bias_, form.multiply);
    EXPECT_LE(largest_difference(y, wanted), tolerance(at::kFloat, GetParam().in, largest(wanted)))
        << cpu::name_of(form.processor);
    EXPECT_TRUE(at::equal(cpu::matrix_product(apart(x_), apart(weight_), bias_, form.multiply), y))
        << cpu::name_of(form.processor);
    EXPECT_TRUE(at::equal(cpu::matrix_product(x_.narrow(0, 0, 1), weight_, bias_, form.multiply),
                          y.narrow(0, 0, 1)))
        << cpu::name_of(form.processor);
  }
}

TEST_P(LinearCases, WorksWithoutABiasAndOnMoreThanTwoDimensions) {
  const at::Tensor wanted = at::matmul(x_.to(at::kDouble), weight_.to(at::kDouble).t());
  const at::Tensor y = kernels::linear(x_.unsqueeze(0), weight_, {});
  EXPECT_EQ(y.sizes(), (std::vector<int64_t>{1, GetParam().rows, GetParam().out}));
  EXPECT_LE(largest_difference(y[0], wanted),
            tolerance(GetParam().dtype, GetParam().in, largest(wanted)));
}

TEST_P(LinearCases, TakesRowsThatLieApart) {
  const at::Tensor apart =
      at::full({x_.size(0), x_.size(1) + 3}, 7.0, x_.options()).narrow(1, 2, x_.size(1)).copy_(x_);
  for (const at::Tensor& packed : {at::Tensor(), pack(weight_)}) {
    EXPECT_TRUE(at::equal(kernels::linear(apart, weight_, bias_, Activation::None, packed),
                          kernels::linear(x_, weight_, bias_, Activation::None, packed)));
  }
}

// Whichever of the two weights there was no memory for.
TEST_P(LinearCases, ReadsOnlyTheShapeOfAPackedWeight) {
  const at::Tensor second = at::randn({5, GetParam().out}).to(GetParam().dtype);
  const at::Tensor packed = pack(weight_), packed_second = pack(second);
  if (!packed.defined() || !packed_second.defined()) return;
  const auto shape = [](const at::Tensor& x) { return x.to(at::kMeta); };
  for (const Activation activation : kActivations) {
    const at::Tensor inner = kernels::linear(x_, weight_, bias_, activation, packed);
    EXPECT_TRUE(at::equal(kernels::linear(x_, shape(weight_), bias_, activation, packed), inner));
    const at::Tensor wanted = at::matmul(inner.to(at::kDouble), second.to(at::kDouble).t());
    for (const auto& [first_is_packed, second_is_packed] :
         {std::pair{true, true}, std::pair{true, false}, std::pair{false, true}}) {
      const FeedForwardWeights weights = {first_is_packed ? shape(weight_) : weight_,
                                          bias_,
                                          second_is_packed ? shape(second) : second,
                                          {},
                                          first_is_packed ? packed : at::Tensor(),
                                          second_is_packed ? packed_second : at::Tensor()};
      EXPECT_LE(largest_difference(feed_forward(x_, weights, activation), wanted),
                2 * tolerance(GetParam().dtype, GetParam().out, largest(wanted)) +
                    2 * eps_of(GetParam().dtype) * largest(inner) *
                        std::sqrt(static_cast<double>(GetParam().out)))
          << "activation " << static_cast<int>(activation) << ", packed " << first_is_packed
          << second_is_packed;
    }
  }
}

TEST_P(LinearCases, GivesTheSameBytesAtAnyNumberOfThreads) {
  for (const at::Tensor& packed : {at::Tensor(), pack(weight_)}) {
    EXPECT_TRUE(same_at_any_number_of_threads(
        [&] { return kernels::linear(x_, weight_, bias_, Activation::GeluTanh, packed); }));
  }
}

TEST_P(LinearCases, FeedForwardIsTwoProducts) {
  const at::Tensor second = at::randn({5, GetParam().out}).to(GetParam().dtype);
  for (const bool packed : {false, true}) {
    const FeedForwardWeights weights = {weight_,
                                        bias_,
                                        second,
                                        {},
                                        packed ? pack(weight_) : at::Tensor(),
                                        packed ? pack(second) : at::Tensor()};
    const at::Tensor inner =
        kernels::linear(x_, weight_, bias_, Activation::GeluTanh, weights.packed1);
    const at::Tensor y = feed_forward(x_, weights, Activation::GeluTanh);
    EXPECT_TRUE(
        at::equal(y, kernels::linear(inner, second, {}, Activation::None, weights.packed2)));
    EXPECT_TRUE(same_at_any_number_of_threads(
        [&] { return feed_forward(x_, weights, Activation::GeluTanh); }));
  }
}

TEST(Linear, ActivationsOfPackedWeightsKeepHugeAndTinyNumbers) {
  const at::Tensor weight = at::ones({16, 2}).to(at::kBFloat16);
  const at::Tensor packed = pack(weight);
  if (!packed.defined()) GTEST_SKIP() << "this processor has no use for packed weights";
  const at::Tensor x = at::tensor({1e5, -1e5, 1e15, -1e15, 1e-20, 0.0})
                           .to(at::kBFloat16)
                           .view({6, 1})
                           .expand({6, 2});
  for (const Activation activation : {Activation::GeluTanh, Activation::Silu}) {
    const at::Tensor y = kernels::linear(x.contiguous(), weight, {}, activation, packed)
                             .select(1, 0)
                             .to(at::kDouble);
    const at::Tensor z = x.select(1, 0).to(at::kDouble) * 2;
    EXPECT_EQ(y[0].item<double>(), z[0].item<double>());
    EXPECT_EQ(y[1].item<double>(), 0.0);
    EXPECT_EQ(y[2].item<double>(), z[2].item<double>());
    EXPECT_EQ(y[3].item<double>(), 0.0);
    EXPECT_NEAR(y[4].item<double>(), z[4].item<double>() / 2, 1e-22);
    EXPECT_EQ(y[5].item<double>(), 0.0);
  }
}

// By ATen's own conversion; of ties, infinities and what is no number too.
TEST(Linear, PackedSumsAreRoundedToTheNearestEvenNumberInEveryForm) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const at::Tensor weight = at::ones({3, 1}, at::kBFloat16), packed = pack(weight);
  if (!packed.defined()) GTEST_SKIP() << "this processor has no use for packed weights";
  const double tie = std::ldexp(1.0, -8);
  const at::Tensor bias = at::tensor({tie, -tie, 0.0}).to(at::kBFloat16);
  const at::Tensor x = at::tensor({1.0, 1 + 2 * tie, -1.0, -1 - 2 * tie, 3.3e38, kInfinity,
                                   -kInfinity, std::numeric_limits<double>::quiet_NaN()})
                           .to(at::kBFloat16)
                           .unsqueeze(1);
  const at::Tensor wanted = (x.to(at::kFloat) + bias.to(at::kFloat)).to(at::kBFloat16);
  for (const cpu::Processor processor : {cpu::Processor::Avx2, cpu::Processor::Avx512,
                                         cpu::Processor::Avx512Bf16, cpu::Processor::Amx}) {
    if (!cpu::has(processor)) continue;
    const at::Tensor y = at::empty_like(wanted);
    cpu::tile_linear(x, packed, bias, Activation::None, y, processor);
    EXPECT_TRUE(at::allclose(y, wanted, 0, 0, /*equal_nan=*/true)) << cpu::name_of(processor) << y;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, LinearCases, testing::ValuesIn(product_cases()));

TEST(Tiles, CoverEachRowOnce) {
  for (const int64_t rows : {1, 15, 16, 17, 129, 1000, 2240, 32760}) {
    for (const cpu::Tiling& tiles : {cpu::row_tiles(rows), cpu::column_tiles(rows)}) {
      int64_t covered = 0;
      for (int64_t tile = 0; tile < tiles.count; ++tile) {
        EXPECT_EQ(tiles.begin(tile), covered);
        EXPECT_GT(tiles.length(tile), 0);
        covered += tiles.length(tile);
      }
      EXPECT_EQ(covered, rows);
    }
  }
}

}  // namespace
}  // namespace sora::kernels
