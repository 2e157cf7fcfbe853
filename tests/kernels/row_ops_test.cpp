// The row-wise kernels against the same equations in f64, and against their definition in ATen.
#include <gtest/gtest.h>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/row_ops.h"
#include "kernels/gated_residual.h"
#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"
#include "tests/kernels/cases.h"
#include "tests/kernels/cuda/emulated_rows.h"

namespace sora::kernels {
namespace {

constexpr double kEps = 1e-6;
constexpr int64_t kModulations = 3;

class RowOps : public testing::TestWithParam<RowCase> {
 protected:
  void SetUp() override {
    at::manual_seed(7);
    const RowCase& shape = GetParam();
    // Off centre, so that a mean forgotten in a variance shows.
    x_ = (at::randn({shape.batch, shape.tokens, shape.width()}) + 0.5).to(shape.dtype);
    row_ = at::randint(kModulations, {shape.batch * shape.tokens}, at::kLong);
    // Rows of a larger table, as the blocks pass them.
    table_ = at::randn({kModulations, 2, shape.width()});
  }

  at::Tensor modulation(int64_t index) const { return table_.select(1, index); }
  at::Tensor modulation_f64(int64_t index) const {
    return modulation(index).to(at::kDouble).index_select(0, row_).view(x_.sizes());
  }
  void expect_near(const at::Tensor& value, const at::Tensor& wanted, int64_t summed,
                   at::ScalarType dtype) const {
    EXPECT_LE(largest_difference(value, wanted), tolerance(dtype, summed, largest(wanted)));
  }

  at::Tensor x_, row_, table_;
};

TEST_P(RowOps, LayerNormIsItsEquation) {
  const at::Tensor wide = x_.to(at::kDouble);
  const at::Tensor centred = wide - wide.mean(-1, true);
  const at::Tensor normed = centred / (centred.square().mean(-1, true) + kEps).sqrt();
  const at::Tensor wanted = normed * modulation_f64(0) + modulation_f64(1);
  const at::Tensor plain =
      normed * modulation(0)[0].to(at::kDouble) + modulation(1)[0].to(at::kDouble);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto expect_both = [&](const auto& op) {
      expect_near(op(x_, modulation(0), modulation(1), row_, kEps, dtype), wanted, x_.size(-1),
                  dtype);
      expect_near(op(x_, modulation(0), modulation(1), {}, kEps, dtype), plain, x_.size(-1), dtype);
    };
    expect_both(layer_norm);
    expect_both(reference::layer_norm);
  }
}

TEST_P(RowOps, GatedResidualIsItsEquation) {
  const at::Tensor wide = at::randn_like(x_, at::kFloat);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor y = wide.to(dtype);
    const at::Tensor wanted = x_.to(at::kDouble) + y.to(at::kDouble) * modulation_f64(0);
    const at::Tensor ours = x_.clone(), defined = x_.clone(), plain = x_.clone();
    gated_residual_(ours, y, modulation(0), row_);
    reference::gated_residual_(defined, y, modulation(0), row_);
    expect_near(ours, wanted, 1, x_.scalar_type());
    EXPECT_TRUE(at::equal(ours, defined))
        << "one product and one sum leave no room for another rounding";
    gated_residual_(plain, y);
    EXPECT_TRUE(at::equal(plain, (x_.to(at::kFloat) + y).to(x_.scalar_type())));
  }
}

TEST_P(RowOps, RmsNormIsItsEquation) {
  const at::Tensor weight = at::randn({x_.size(-1)});
  const at::Tensor wide = x_.to(at::kDouble);
  const at::Tensor wanted =
      wide / (wide.square().mean(-1, true) + kEps).sqrt() * weight.to(at::kDouble);
  const at::Tensor ours = x_.clone(), defined = x_.clone();
  rms_norm_(ours, weight, kEps);
  reference::rms_norm_(defined, weight, kEps);
  expect_near(ours, wanted, x_.size(-1), x_.scalar_type());
  expect_near(defined, wanted, x_.size(-1), x_.scalar_type());
}

TEST_P(RowOps, RmsNormRotateTurnsEachPairByItsTokensAngle) {
  const RowCase& shape = GetParam();
  const at::Tensor angle = at::rand({shape.tokens, shape.head_width / 2}, at::kDouble) * 6.28;
  const Rotation rotation = {angle.cos().to(at::kFloat), angle.sin().to(at::kFloat)};
  const at::Tensor weight = at::randn({x_.size(-1)});
  const at::Tensor wide = x_.to(at::kDouble);
  const at::Tensor normed =
      wide / (wide.square().mean(-1, true) + kEps).sqrt() * weight.to(at::kDouble);
  // A pair as a complex number, turned by multiplying with e^(i angle).
  const at::Tensor pairs =
      at::view_as_complex(normed.unflatten(2, {shape.heads, shape.head_width / 2, 2}).contiguous());
  const at::Tensor turn = at::polar(at::ones_like(angle), angle).unsqueeze(1);
  const at::Tensor wanted = at::view_as_real(pairs * turn).flatten(2);
  const at::Tensor ours = x_.clone(), defined = x_.clone();
  rms_norm_rotate_(ours, weight, kEps, rotation);
  reference::rms_norm_rotate_(defined, weight, kEps, rotation);
  expect_near(ours, wanted, x_.size(-1), x_.scalar_type());
  expect_near(defined, wanted, x_.size(-1), x_.scalar_type());
}

// The kernels for GPUs, emulated, where they fit; what they give is held to the definition, which
// the tests above hold to the equation.
TEST_P(RowOps, OnAGpuAreTheirDefinitions) {
  if (!cuda::fits_rows(x_)) return;
  const RowCase& shape = GetParam();
  const at::Tensor weight = at::randn({x_.size(-1)});
  const at::Tensor angle = at::rand({shape.tokens, shape.head_width / 2}) * 6.28;
  const Rotation rotation = {angle.cos(), angle.sin()};
  for (const Rotation* turn : {static_cast<const Rotation*>(nullptr), &rotation}) {
    const at::Tensor ours = x_.clone(), defined = x_.clone();
    cuda::emulate_rows(cuda::rms_norm_problem(ours, weight, kEps, turn));
    turn ? reference::rms_norm_rotate_(defined, weight, kEps, rotation)
         : reference::rms_norm_(defined, weight, kEps);
    expect_near(ours, defined, x_.size(-1), shape.dtype);
  }
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const at::Tensor& row : {row_, at::Tensor()}) {
      const at::Tensor normed = at::empty_like(x_, dtype);
      cuda::emulate_rows(
          cuda::layer_norm_problem(x_, modulation(0), modulation(1), row, kEps, normed));
      expect_near(normed, reference::layer_norm(x_, modulation(0), modulation(1), row, kEps, dtype),
                  x_.size(-1), dtype);
      const at::Tensor y = at::randn_like(x_, at::kFloat).to(dtype);
      const at::Tensor gate = row.defined() ? modulation(0) : at::Tensor();
      const at::Tensor ours = x_.clone(), defined = x_.clone();
      cuda::emulate_rows(cuda::gated_residual_problem(ours, y, gate, row));
      reference::gated_residual_(defined, y, gate, row);
      expect_near(ours, defined, 1, shape.dtype);
    }
  }
}

// The same kernels themselves, where there is a GPU.
TEST_P(RowOps, RunOnAGpu) {
  if (!cuda::gpu_is_available() || !cuda::has_own_kernels_for({at::kCUDA, 0}) ||
      !cuda::fits_rows(x_))
    return;
  const at::Tensor weight = at::randn({x_.size(-1)});
  const at::Tensor x = x_.cuda(), table = table_.cuda(), row = row_.cuda();
  cuda::use_own_row_ops(true);
  const at::Tensor normed =
      layer_norm(x, table.select(1, 0), table.select(1, 1), row, kEps, x_.scalar_type());
  rms_norm_(x, weight.cuda(), kEps);
  const at::Tensor sum = normed.clone();
  gated_residual_(sum, x, table.select(1, 0), row);
  cuda::use_own_row_ops(false);
  const at::Tensor wanted =
      reference::layer_norm(x_, modulation(0), modulation(1), row_, kEps, x_.scalar_type());
  expect_near(normed.cpu(), wanted, x_.size(-1), x_.scalar_type());
  const at::Tensor rms = x_.clone(), wanted_sum = normed.cpu();
  reference::rms_norm_(rms, weight, kEps);
  expect_near(x.cpu(), rms, x_.size(-1), x_.scalar_type());
  reference::gated_residual_(wanted_sum, x.cpu(), modulation(0), row_);
  expect_near(sum.cpu(), wanted_sum, 1, x_.scalar_type());
}

TEST_P(RowOps, GiveTheSameBytesAtAnyNumberOfThreads) {
  const at::Tensor weight = at::randn({x_.size(-1)});
  EXPECT_TRUE(same_at_any_number_of_threads([&] {
    const at::Tensor y = layer_norm(x_, modulation(0), modulation(1), row_, kEps, x_.scalar_type());
    rms_norm_(y, weight, kEps);
    gated_residual_(y, x_, modulation(0), row_);
    return y;
  }));
}

INSTANTIATE_TEST_SUITE_P(Cases, RowOps, testing::ValuesIn(row_cases()));

TEST(RowOpsEdges, InfinityAndNanSurviveTheRoundingToBf16) {
  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor x = at::tensor({infinity, -infinity, nan, 1.0F}).to(at::kBFloat16).view({1, 4});
  gated_residual_(x, at::zeros_like(x), at::ones({1, 4}), at::zeros({1}, at::kLong));
  EXPECT_EQ(x[0][0].item<float>(), infinity);
  EXPECT_EQ(x[0][1].item<float>(), -infinity);
  EXPECT_TRUE(std::isnan(x[0][2].item<float>()));
  EXPECT_EQ(x[0][3].item<float>(), 1.0F);
}

TEST(RowOpsEdges, RoundTiesToEven) {
  // 1 + eps/2 lies between 1 and 1 + eps: to the even one, 1. 1 + 3/2 eps: to 1 + 2 eps.
  const at::Tensor x = at::ones({1, 2}).to(at::kBFloat16);
  const at::Tensor gate =
      at::tensor({0.5, 1.5}).to(at::kFloat).view({1, 2}) * eps_of(at::kBFloat16);
  gated_residual_(x, at::ones_like(x), gate, at::zeros({1}, at::kLong));
  EXPECT_EQ(x[0][0].item<double>(), 1.0);
  EXPECT_EQ(x[0][1].item<double>(), 1.0 + 2 * eps_of(at::kBFloat16));
}

}  // namespace
}  // namespace sora::kernels
