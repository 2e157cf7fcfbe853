// rms_norm_silu against its definition in double precision, at widths on and off the vectors of the
// processor.
#include "kernels/rms_norm_silu.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "kernels/cpu/processor.h"
#include "kernels/cpu/rms_norm_silu.h"

namespace sora::kernels {
namespace {

constexpr int64_t kWidths[] = {1, 3, 8, 15, 16, 17, 32, 47, 96, 100, 384};

at::Tensor definition(const at::Tensor& x, const at::Tensor& scale, NormActivation activation) {
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor y = wide / wide.norm(2, {-1}, true).clamp_min(1e-12) * scale.to(at::kDouble);
  return activation == NormActivation::Silu ? y / (1 + (-y).exp()) : y;
}

// Half a unit in the last place of bf16 is at most 2^-8; float32 is left some for the sum and the
// exponential.
double tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 2e-6 : 0.004; }

TEST(RmsNormSilu, FollowsItsDefinition) {
  at::manual_seed(1);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const NormActivation activation : {NormActivation::None, NormActivation::Silu}) {
      for (const int64_t width : kWidths) {
        const at::Tensor x = at::randn({3, 5, width}).mul(4).to(dtype);
        const at::Tensor scale = at::randn({width}) * 3;
        at::Tensor y = at::empty_like(x), by_reference = at::empty_like(x);
        rms_norm_silu_out(x, scale, activation, y);
        reference::rms_norm_silu_out(x, scale, activation, by_reference);
        const at::Tensor wanted = definition(x, scale, activation);
        const auto close = [&](const at::Tensor& found) {
          return ((found.to(at::kDouble) - wanted).abs() <= tolerance(dtype) * wanted.abs() + 1e-7)
              .all()
              .item<bool>();
        };
        EXPECT_TRUE(close(y)) << dtype << " width " << width;
        EXPECT_TRUE(close(by_reference)) << dtype << " width " << width;
      }
    }
  }
}

TEST(RmsNormSilu, WritesNoFurtherThanItsSlice) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t width : kWidths) {
      const at::Tensor x = at::randn({2, 3, width}).to(dtype);
      at::Tensor whole = at::full({4, 3, width}, 7.0, dtype);
      rms_norm_silu_out(x, at::ones({width}), NormActivation::Silu, whole.narrow(0, 1, 2));
      EXPECT_TRUE(whole[0].eq(7).all().item<bool>()) << width;
      EXPECT_TRUE(whole[3].eq(7).all().item<bool>()) << width;
      EXPECT_FALSE(whole.narrow(0, 1, 2).eq(7).any().item<bool>()) << width;
    }
  }
}

TEST(RmsNormSilu, KeepsZeroAndHugeRowsFinite) {
  at::Tensor x = at::zeros({3, 20});
  x[1].fill_(1e15);
  x[2].fill_(-1e15);
  at::Tensor y = at::empty_like(x);
  rms_norm_silu_out(x, at::full({20}, 200.0), NormActivation::Silu, y);
  EXPECT_TRUE(y[0].eq(0).all().item<bool>());
  EXPECT_TRUE(y.isfinite().all().item<bool>());
  EXPECT_GT(y[1][0].item<double>(), 44.0);
  EXPECT_NEAR(y[2][0].item<double>(), 0.0, 1e-15);
}

#if defined(__x86_64__)
TEST(RmsNormSilu, OfValuesOfAnySizeIsItsDefinitionInEveryForm) {
  const struct {
    cpu::Processor processor;
    cpu::RmsNormSiluRows* rows;
  } forms[] = {{cpu::Processor::Avx2, cpu::rms_norm_silu_rows_avx2},
               {cpu::Processor::Avx512, cpu::rms_norm_silu_rows_avx512},
               {cpu::Processor::Avx512Bf16, cpu::rms_norm_silu_rows_avx512bf16}};
  for (const auto& [processor, rows] : forms) {
    if (!cpu::has(processor)) continue;
    for (const int64_t width : {5, 16}) {
      for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
        for (const double size : {80.0, 88.0, 89.0, 90.0, 100.0, 139.0, 400.0}) {
          const at::Tensor x = at::tensor({1.0, -1.0}).unsqueeze(1).expand({2, width}).to(dtype);
          const at::Tensor scale =
              at::full({width}, size * std::sqrt(static_cast<double>(width)), at::kFloat);
          const at::Tensor from = x.contiguous(), y = at::empty_like(from);
          rows(from.const_data_ptr(), scale.const_data_ptr<float>(), y.data_ptr(), 2, width,
               dtype == at::kBFloat16, true);
          const at::Tensor wanted = definition(x, scale, NormActivation::Silu);
          EXPECT_TRUE(at::allclose(y.to(at::kDouble), wanted, tolerance(dtype), 1e-30))
              << cpu::name_of(processor) << " " << dtype << " +-" << size << ": " << y;
        }
      }
    }
  }
}
#endif

TEST(RmsNormSilu, LetsNotANumberThrough) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    at::Tensor x = at::ones({2, 33}, dtype);
    x[1][32] = std::numeric_limits<float>::quiet_NaN();
    at::Tensor y = at::empty_like(x);
    rms_norm_silu_out(x, at::ones({33}), NormActivation::Silu, y);
    EXPECT_TRUE(y[0].isfinite().all().item<bool>());
    EXPECT_TRUE(y[1].isnan().all().item<bool>());
  }
}

TEST(RmsNormSilu, GivesTheSameBitsAtAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  const at::Tensor x = at::randn({5000, 96}).to(at::kBFloat16), scale = at::randn({96});
  at::Tensor one = at::empty_like(x), two = at::empty_like(x);
  at::set_num_threads(1);
  rms_norm_silu_out(x, scale, NormActivation::Silu, one);
  at::set_num_threads(2);
  rms_norm_silu_out(x, scale, NormActivation::Silu, two);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, two));
}

}  // namespace
}  // namespace sora::kernels
