#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/cpu/flash_attention.h"
#include "kernels/cuda/gpu.h"
#include "tests/kernels/attention_cases.h"
#include "tests/kernels/cases.h"
#include "tests/kernels/cuda/emulated_attention.h"

namespace sora::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Every form of the kernel that this machine can run, the definition, and what is called.
struct Form {
  std::string name;
  std::function<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                           const AttentionTerms&)>
      attend;
};

template <cuda::Instructions kInstructions>
at::Tensor on_gpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const AttentionTerms& terms) {
  return cuda::attention(strided_on_gpu(q), strided_on_gpu(k), strided_on_gpu(v), terms,
                         kInstructions)
      .cpu();
}

bool runs_on_gpu() { return cuda::gpu_is_available() && cuda::has_own_kernels_for({at::kCUDA, 0}); }

bool runs_for_hopper(const at::Tensor& q) {
  const auto problem = cuda::prepare_attention(q.cuda(), q.cuda(), q.cuda(), {}).problem;
  return cuda::best_instructions(problem) == cuda::Instructions::Hopper;
}

// Emulating a GPU takes milliseconds for each tile.
bool is_emulated(const at::Tensor& q) {
  return cuda::fits_attention(q, q, q) && q.size(0) * q.size(1) * q.size(2) <= 300;
}

// Whole warpgroups' products are emulated at once, which is quicker.
bool is_emulated_for_hopper(const at::Tensor& q) {
  return cuda::fits_attention(q, q, q) && (q.size(3) == 64 || q.size(3) == 128) &&
         q.size(0) * q.size(1) * q.size(2) <= 600;
}

std::vector<Form> forms(const at::Tensor& q) {
  std::vector<Form> all = {
      {"reference", reference::attention},
      {"attention", [](const auto& q, const auto& k, const auto& v, const AttentionTerms& terms) {
         return attention(q, k, v, terms);
       }}};
  if (is_emulated(q)) all.push_back({"CUDA, emulated", cuda::emulated_attention});
  if (is_emulated_for_hopper(q))
    all.push_back({"CUDA for Hopper, emulated", cuda::hopper::emulated_attention});
  if (runs_on_gpu() && cuda::fits_attention(q, q, q)) {
    all.push_back({"CUDA", on_gpu<cuda::Instructions::Ampere>});
    if (runs_for_hopper(q)) all.push_back({"CUDA for Hopper", on_gpu<cuda::Instructions::Hopper>});
  }
  if (!cpu::fits_flash_attention(q, q, q)) return all;
  for (const cpu::Processor processor :
       {cpu::Processor::Plain, cpu::Processor::Avx2, cpu::Processor::Avx512,
        cpu::Processor::Avx512Bf16, cpu::Processor::Amx}) {
    if (!cpu::has(processor)) continue;
    all.push_back({cpu::name_of(processor), [processor](const auto& q, const auto& k, const auto& v,
                                                        const AttentionTerms& terms) {
                     return cpu::flash_attention(q, k, v, terms, processor);
                   }});
  }
  return all;
}

class AttentionCases : public testing::TestWithParam<AttentionCase> {
 protected:
  void SetUp() override {
    at::manual_seed(5);
    const AttentionCase& shape = GetParam();
    q_ = at::randn({shape.batch, shape.queries, shape.heads, shape.head_width}).to(shape.dtype);
    k_ = at::randn({shape.batch, shape.keys, shape.heads, shape.head_width}).to(shape.dtype);
    v_ = at::randn({shape.batch, shape.keys, shape.heads, shape.head_width}).to(shape.dtype);
    bias_ = at::randn({shape.batch, shape.keys});
  }

  at::Tensor products() const {
    const at::Tensor q = q_.to(at::kDouble).transpose(1, 2), k = k_.to(at::kDouble).transpose(1, 2);
    return at::matmul(q, k.transpose(2, 3)) / std::sqrt(static_cast<double>(q.size(3)));
  }
  at::Tensor wanted(const at::Tensor& logits) const {
    return at::matmul(at::softmax(logits, -1), v_.to(at::kDouble).transpose(1, 2)).transpose(1, 2);
  }
  at::Tensor biased(const at::Tensor& bias_BS) const {
    return products() + bias_BS.to(at::kDouble).unsqueeze(1).unsqueeze(1);
  }
  void expect_near(const AttentionTerms& terms, const at::Tensor& wanted) const {
    for (const Form& form : forms(q_)) {
      // Probabilities are rounded too: the error of a weighted mean of v is one eps of v at most.
      EXPECT_LE(largest_difference(form.attend(q_, k_, v_, terms), wanted),
                2 * tolerance(GetParam().dtype, GetParam().keys, largest(v_)))
          << form.name;
    }
  }
  // `count` ranges of unequal length over `total`.
  static std::vector<int64_t> ranges(int64_t total, int64_t count) {
    std::vector<int64_t> ends;
    for (int64_t i = 1; i <= count; ++i) ends.push_back(total * i * i / (count * count));
    return ends;
  }

  at::Tensor q_, k_, v_, bias_;
};

TEST_P(AttentionCases, IsItsEquation) {
  expect_near({}, wanted(products()));
  expect_near({.bias_BS = bias_}, wanted(biased(bias_)));
}

TEST_P(AttentionCases, MinusInfinityHidesAKey) {
  if (GetParam().keys < 2) return;
  at::Tensor bias = bias_.clone();
  bias.select(1, 1).fill_(-kInfinity);
  expect_near({.bias_BS = bias}, wanted(biased(bias)));
  const at::Tensor shown = attention(q_, k_, v_, {.bias_BS = bias});
  v_.select(1, 1).fill_(1e6);
  EXPECT_TRUE(at::equal(attention(q_, k_, v_, {.bias_BS = bias}), shown));
}

TEST_P(AttentionCases, SeesAsManyKeysAsItIsTold) {
  const AttentionCase& shape = GetParam();
  const at::Tensor num_keys = at::randint(1, shape.keys + 1, {shape.batch}, at::kLong);
  const at::Tensor hidden = at::arange(shape.keys) >= num_keys.unsqueeze(1);
  expect_near({.num_keys_B = num_keys},
              wanted(biased(at::zeros({shape.batch, shape.keys}).masked_fill(hidden, -kInfinity))));
}

TEST_P(AttentionCases, AddsATableOfRangesOfQueriesAndKeys) {
  const AttentionCase& shape = GetParam();
  AttentionTerms terms = {.bias_BS = bias_};
  terms.table = {at::randn({3, 4}), ranges(shape.queries, 3), ranges(shape.keys, 4)};
  terms.table.values_RC[1][0] = -kInfinity;  // a part that a row does not see at all
  at::Tensor logits = biased(bias_);
  for (int64_t r = 0, l = 0; r < 3; l = terms.table.row_ends[r++]) {
    for (int64_t c = 0, s = 0; c < 4; s = terms.table.column_ends[c++]) {
      logits.slice(2, l, terms.table.row_ends[r])
          .slice(3, s, terms.table.column_ends[c])
          .add_(terms.table.values_RC[r][c].item<double>());
    }
  }
  expect_near(terms, wanted(logits));
}

TEST_P(AttentionCases, ScalesPositiveLogitsOfFarKeys) {
  const AttentionCase& shape = GetParam();
  const FarScale far = {.window = shape.keys / 3, .factor = 0.5};
  at::Tensor logits = products();
  const at::Tensor distance =
      (at::arange(shape.queries).unsqueeze(1) - at::arange(shape.keys)).abs();
  logits = at::where((distance > far.window).logical_and(logits > 0), logits * far.factor, logits);
  expect_near({.far = far}, wanted(logits));
  expect_near({.bias_BS = bias_, .far = far},
              wanted(logits + bias_.to(at::kDouble).unsqueeze(1).unsqueeze(1)));
}

TEST_P(AttentionCases, TakesLogitsOfAnySize) {
  // Later keys outweigh all before them by far, and the first of all are hidden.
  const int64_t keys = GetParam().keys;
  const at::Tensor slope = at::arange(keys).mul(200.0 / static_cast<double>(keys)).sub_(1000.0);
  const at::Tensor rising = slope.unsqueeze(0).expand({GetParam().batch, keys}).contiguous();
  if (keys > 64) rising.slice(1, 0, 40).fill_(-kInfinity);
  const auto expect_within = [&](const AttentionTerms& terms, const at::Tensor& logits) {
    // Logits of this size are themselves known to an eps of f32 only, before and after scaling.
    const double logit_error =
        4 * eps_of(at::kFloat) * largest(logits.masked_fill(logits == -kInfinity, 0));
    for (const Form& form : forms(q_)) {
      EXPECT_LE(largest_difference(form.attend(q_, k_, v_, terms), wanted(logits)),
                largest(v_) * (logit_error + 2 * tolerance(GetParam().dtype, keys, 1)))
          << form.name;
    }
  };
  expect_within({.bias_BS = rising}, biased(rising));
  q_.mul_(40);  // the softmax picks single keys
  expect_within({}, products());
}

TEST_P(AttentionCases, ReadsTensorsOfAnyStride) {
  // 8 more numbers a row keep rows at multiples of 16 bytes, which some forms ask for; 3 do not.
  for (const int64_t more : {3, 8}) {
    const auto spread = [more](const at::Tensor& x) {
      const at::Tensor wide =
          at::full({x.size(0), x.size(1), x.size(2) + 1, x.size(3) + more}, 7.0, x.options());
      return wide.narrow(2, 1, x.size(2)).narrow(3, more, x.size(3)).copy_(x);
    };
    for (const Form& form : forms(spread(q_))) {
      const at::Tensor apart = form.attend(spread(q_), spread(k_), spread(v_), {}),
                       together = form.attend(q_, k_, v_, {});
      // The libraries' sums may depend on where in memory a tensor lies.
      const bool is_libtorchs =
          form.name == "reference" ||
          (form.name == "attention" && !cpu::fits_flash_attention(q_, k_, v_));
      const double allowed =
          is_libtorchs ? tolerance(GetParam().dtype, k_.size(1), largest(v_)) : 0.0;
      EXPECT_LE(largest_difference(apart, together), allowed) << form.name;
    }
  }
}

TEST_P(AttentionCases, TakesDenormalNumbers) {
  v_.mul_(1e-39);
  for (const Form& form : forms(q_)) {
    const at::Tensor out = form.attend(q_, k_, v_, {});
    EXPECT_TRUE(at::isfinite(out).all().item<bool>()) << form.name;
    EXPECT_LE(largest(out), 1e-38) << form.name;
  }
}

TEST_P(AttentionCases, OneSetOfKeysServesABatch) {
  const at::Tensor k = k_.narrow(0, 0, 1), v = v_.narrow(0, 0, 1), bias = bias_.narrow(0, 0, 1);
  const std::vector<int64_t> repeats = {GetParam().batch, 1, 1, 1};
  EXPECT_TRUE(at::equal(attention(q_, k, v, {.bias_BS = bias}),
                        attention(q_, k.repeat(repeats), v.repeat(repeats),
                                  {.bias_BS = bias.repeat({GetParam().batch, 1})})));
}

TEST_P(AttentionCases, GivesTheSameBytesAtAnyNumberOfThreads) {
  for (const Form& form : forms(q_)) {
    if (form.name == "reference" || form.name.ends_with("emulated")) continue;
    EXPECT_TRUE(same_at_any_number_of_threads([&] { return form.attend(q_, k_, v_, {}); }));
    EXPECT_TRUE(
        same_at_any_number_of_threads([&] { return form.attend(q_, k_, v_, {.bias_BS = bias_}); }));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionCases, testing::ValuesIn(attention_cases()));

class LargeAttentionCases : public AttentionCases {
 protected:
  void SetUp() override {
    if (!runs_on_gpu()) GTEST_SKIP() << "no GPU that this build has kernels for";
    AttentionCases::SetUp();
    if (!runs_for_hopper(q_)) GTEST_SKIP() << "no GPU of compute capability 9.0";
  }
};

TEST_P(LargeAttentionCases, AreTheSameByBothKindsOfInstructions) {
  for (const AttentionTerms& terms : {AttentionTerms{}, AttentionTerms{.bias_BS = bias_}}) {
    const at::Tensor hopper = on_gpu<cuda::Instructions::Hopper>(q_, k_, v_, terms),
                     ampere = on_gpu<cuda::Instructions::Ampere>(q_, k_, v_, terms);
    // Each is as near to the equation as AttentionCases holds it to.
    EXPECT_LE(largest_difference(hopper, ampere),
              4 * tolerance(at::kBFloat16, GetParam().keys, largest(v_)));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, LargeAttentionCases, testing::ValuesIn(large_attention_cases()));

TEST(AttentionEdges, AQueryThatSeesNoKeyGetsNan) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = at::randn({1, 40, 1, 32}).to(dtype);
    for (const Form& form : forms(x)) {
      const at::Tensor out = form.attend(x, x, x, {.bias_BS = at::full({1, 40}, -kInfinity)});
      EXPECT_TRUE(at::isnan(out).all().item<bool>()) << form.name;
    }
  }
}

// The first and the last batch are done by the same block of the kernel for Hopper.
TEST(AttentionEdges, ANegativeNumberOfKeysHidesAllOfThem) {
  const at::Tensor x = at::randn({4, 40, 1, 64}).to(at::kBFloat16);
  const AttentionTerms terms = {.num_keys_B =
                                    at::tensor(std::vector<int64_t>{-400, 7, 40, 30}, at::kLong)};
  const at::Tensor wanted = reference::attention(x, x, x, terms);
  for (const auto attend : {cuda::emulated_attention, cuda::hopper::emulated_attention}) {
    const at::Tensor out = attend(x, x, x, terms);
    EXPECT_TRUE(at::isnan(out[0]).all().item<bool>());
    EXPECT_LE(largest_difference(out.slice(0, 1), wanted.slice(0, 1)),
              4 * tolerance(at::kBFloat16, 40, largest(x)));
  }
}

}  // namespace
}  // namespace sora::kernels
