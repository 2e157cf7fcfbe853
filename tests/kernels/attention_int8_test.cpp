#include "kernels/attention_int8.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "kernels/cpu/flash_attention.h"
#include "kernels/cuda/gpu.h"
#include "tests/kernels/attention_cases.h"
#include "tests/kernels/cases.h"
#include "tests/kernels/cuda/emulated_attention.h"

namespace sora::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A form of the kernel that this machine can run, and its error for normal numbers that is stated
// in kernels/attention_int8.h, of the result's size.
struct Form {
  std::string name;
  std::function<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                           const AttentionTerms&)>
      attend;
  double error;
};

constexpr double kErrorOnProcessors = 0.03, kErrorOnGpus = 0.05;

at::Tensor on_gpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const AttentionTerms& terms) {
  return cuda::attention_int8(strided_on_gpu(q), strided_on_gpu(k), strided_on_gpu(v), terms).cpu();
}

bool runs_on_gpu() { return cuda::gpu_is_available() && cuda::int8_attention_runs_here(); }

std::vector<Form> forms(const at::Tensor& q) {
  constexpr int64_t kEmulatedRows = 600;
  std::vector<Form> all;
  if (cpu::has(cpu::Processor::Avx512Bf16) && q.size(3) % 16 == 0)
    all.push_back({"VNNI", cpu::flash_attention_int8, kErrorOnProcessors});
  if (!cuda::fits_attention_int8(q, q, q)) return all;
  if (q.size(0) * q.size(1) * q.size(2) <= kEmulatedRows)
    all.push_back(
        {"CUDA for Hopper, emulated", cuda::hopper::emulated_attention_int8, kErrorOnGpus});
  if (runs_on_gpu()) all.push_back({"CUDA for Hopper", on_gpu, kErrorOnGpus});
  return all;
}

// Those of the exact kernels, and more blocks of keys than the ring for Hopper has stages, a last
// one of one key, and single rows.
std::vector<AttentionCase> int8_cases() {
  std::vector<AttentionCase> cases = attention_cases();
  std::erase_if(cases, [](const AttentionCase& each) { return each.dtype != at::kBFloat16; });
  for (const AttentionCase& shape : {AttentionCase{1, 129, 700, 1, 128, at::kBFloat16},
                                     AttentionCase{2, 5, 97, 2, 64, at::kBFloat16},
                                     AttentionCase{1, 1, 1, 1, 128, at::kBFloat16}})
    cases.push_back(shape);
  return cases;
}

class AttentionInt8Cases : public testing::TestWithParam<AttentionCase> {
 protected:
  void SetUp() override {
    at::manual_seed(5);
    const AttentionCase& shape = GetParam();
    q_ = at::randn({shape.batch, shape.queries, shape.heads, shape.head_width}).to(shape.dtype);
    k_ = at::randn({shape.batch, shape.keys, shape.heads, shape.head_width}).to(shape.dtype);
    v_ = at::randn({shape.batch, shape.keys, shape.heads, shape.head_width}).to(shape.dtype);
    bias_ = at::randn({shape.batch, shape.keys});
    if (forms(q_).empty()) GTEST_SKIP() << "no form of it for this width and machine";
  }
  at::Tensor wanted(const AttentionTerms& terms) const {
    return reference::attention(q_.to(at::kFloat), k_.to(at::kFloat), v_.to(at::kFloat), terms);
  }
  // Root mean square of the difference over that of the values; bf16's own rounding on top.
  void expect_near(const AttentionTerms& terms) const {
    const at::Tensor wanted = this->wanted(terms);
    const double size = wanted.square().mean().sqrt().item<double>();
    for (const Form& form : forms(q_)) {
      const at::Tensor found = form.attend(q_, k_, v_, terms);
      ASSERT_EQ(found.sizes(), wanted.sizes());
      const double error = (found.to(at::kFloat) - wanted).square().mean().sqrt().item<double>();
      EXPECT_LE(error, (form.error + eps_of(at::kBFloat16)) * size) << form.name;
    }
  }
  at::Tensor q_, k_, v_, bias_;
};

TEST_P(AttentionInt8Cases, IsNearTheEquation) {
  expect_near({});
  expect_near({.bias_BS = bias_});
}

TEST_P(AttentionInt8Cases, MeansOfKeysAndValuesDoNotMatter) {
  // Offsets of many deviations, as channels of trained models have: without smoothing they would
  // take the whole range. Those of values make the result large, so keys have theirs alone first.
  k_ = k_ + 20 * at::randn({1, 1, GetParam().heads, GetParam().head_width}).to(at::kBFloat16);
  expect_near({});
  v_ = v_ + 20 * at::randn({1, 1, GetParam().heads, GetParam().head_width}).to(at::kBFloat16);
  expect_near({});
}

TEST_P(AttentionInt8Cases, ScalesPositiveLogitsOfFarKeysWhateverTheirMean) {
  k_ = k_ + at::randn({1, 1, GetParam().heads, GetParam().head_width}).to(at::kBFloat16);
  expect_near({.far = {.window = GetParam().keys / 3, .factor = 0.5}});
}

TEST_P(AttentionInt8Cases, TakesEveryTerm) {
  const AttentionCase& shape = GetParam();
  AttentionTerms terms = {.bias_BS = bias_};
  terms.num_keys_B = at::randint(1, shape.keys + 1, {shape.batch}, at::kLong);
  terms.table = {
      at::randn({2, 2}), {shape.queries / 2, shape.queries}, {shape.keys / 3, shape.keys}};
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
    for (const Form& form : forms(q_)) {
      const at::Tensor out = form.attend(q_, k_, v_ * factor, {});
      EXPECT_TRUE(at::isfinite(out).all().item<bool>()) << form.name;
      EXPECT_LE(largest(out), 1e-38) << form.name;
    }
  }
}

TEST_P(AttentionInt8Cases, ReadsTensorsOfAnyStrideAndSharedKeys) {
  // 8 more numbers a row keep rows at multiples of 16 bytes, which GPUs ask for.
  const auto spread = [](const at::Tensor& x) {
    const at::Tensor wide =
        at::full({x.size(0), x.size(1), x.size(2) + 1, x.size(3) + 8}, 7.0, x.options());
    return wide.narrow(2, 1, x.size(2)).narrow(3, 8, x.size(3)).copy_(x);
  };
  const at::Tensor k = k_.narrow(0, 0, 1), v = v_.narrow(0, 0, 1);
  const std::vector<int64_t> repeats = {GetParam().batch, 1, 1, 1};
  for (const Form& form : forms(q_)) {
    EXPECT_TRUE(at::equal(form.attend(spread(q_), spread(k), spread(v), {}),
                          form.attend(q_, k.repeat(repeats), v.repeat(repeats), {})))
        << form.name;
  }
}

TEST_P(AttentionInt8Cases, GivesTheSameBytesAtAnyNumberOfThreads) {
  if (!cpu::has(cpu::Processor::Avx512Bf16) || GetParam().head_width % 16 != 0)
    GTEST_SKIP() << "this processor has no such form";
  EXPECT_TRUE(same_at_any_number_of_threads(
      [&] { return cpu::flash_attention_int8(q_, k_, v_, {.bias_BS = bias_}); }));
}

// As SageAttention states its error: over all numbers of the result.
TEST_P(AttentionInt8Cases, PointsWhereTheExactResultPoints) {
  constexpr double kCosine = 0.999, kRelativeL1 = 0.045;
  const at::Tensor wanted = this->wanted({}).to(at::kDouble);
  for (const Form& form : forms(q_)) {
    const at::Tensor found = form.attend(q_, k_, v_, {}).to(at::kDouble);
    const double cosine = ((found * wanted).sum() / (found.norm() * wanted.norm())).item<double>();
    const double l1 = ((found - wanted).abs().sum() / wanted.abs().sum()).item<double>();
    EXPECT_GE(cosine, kCosine) << form.name;
    EXPECT_LE(l1, kRelativeL1) << form.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionInt8Cases, testing::ValuesIn(int8_cases()));

class LargeAttentionInt8Cases : public AttentionInt8Cases {
 protected:
  void SetUp() override {
    if (!runs_on_gpu()) GTEST_SKIP() << "no GPU of compute capability 9.0";
    AttentionInt8Cases::SetUp();
  }
};

TEST_P(LargeAttentionInt8Cases, AreNearTheEquation) {
  expect_near({});
  expect_near({.bias_BS = bias_});
}

INSTANTIATE_TEST_SUITE_P(Cases, LargeAttentionInt8Cases,
                         testing::ValuesIn(large_attention_cases()));

TEST(AttentionInt8, AQueryThatSeesNoKeyGetsNan) {
  const at::Tensor x = at::randn({1, 40, 1, 64}).to(at::kBFloat16);
  for (const Form& form : forms(x)) {
    const at::Tensor out = form.attend(x, x, x, {.bias_BS = at::full({1, 40}, -kInfinity)});
    EXPECT_TRUE(at::isnan(out).all().item<bool>()) << form.name;
  }
}

TEST(AttentionInt8, IsTheExactOneWhereNothingIsGained) {
  const at::Tensor x = at::randn({1, 40, 2, 32});
  EXPECT_TRUE(at::equal(attention_int8(x, x, x), attention(x, x, x)));
}

}  // namespace
}  // namespace sora::kernels
