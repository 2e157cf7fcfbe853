#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/cases.h"

namespace sora::kernels {
namespace {

struct AttentionCase {
  int64_t batch, queries, keys, heads, head_width;
  at::ScalarType dtype;
};

std::vector<AttentionCase> attention_cases() {
  std::vector<AttentionCase> cases;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const AttentionCase& shape :
         {AttentionCase{1, 1, 1, 1, 2, dtype}, AttentionCase{2, 9, 5, 3, 14, dtype},
          AttentionCase{1, 130, 33, 5, 16, dtype}, AttentionCase{2, 64, 512, 4, 64, dtype},
          AttentionCase{1, 777, 777, 2, 64, dtype}, AttentionCase{1, 1000, 48, 3, 128, dtype}}) {
      cases.push_back(shape);
    }
  }
  return cases;
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

  at::Tensor wanted(const at::Tensor& bias) const {
    const at::Tensor q = q_.to(at::kDouble).transpose(1, 2), k = k_.to(at::kDouble).transpose(1, 2);
    at::Tensor logits =
        at::matmul(q, k.transpose(2, 3)) / std::sqrt(static_cast<double>(q.size(3)));
    if (bias.defined()) logits = logits + bias.to(at::kDouble).unsqueeze(1).unsqueeze(1);
    return at::matmul(at::softmax(logits, -1), v_.to(at::kDouble).transpose(1, 2)).transpose(1, 2);
  }
  void expect_near(const at::Tensor& value, const at::Tensor& wanted) const {
    // Probabilities are rounded too: the error of a weighted mean of v is one eps of v at most.
    EXPECT_LE(largest_difference(value, wanted),
              2 * tolerance(GetParam().dtype, GetParam().keys, largest(v_)));
  }

  at::Tensor q_, k_, v_, bias_;
};

TEST_P(AttentionCases, IsItsEquation) {
  expect_near(attention(q_, k_, v_), wanted({}));
  expect_near(attention(q_, k_, v_, bias_), wanted(bias_));
  expect_near(reference::attention(q_, k_, v_, {}), wanted({}));
  expect_near(reference::attention(q_, k_, v_, bias_), wanted(bias_));
}

TEST_P(AttentionCases, MinusInfinityHidesAKey) {
  if (GetParam().keys < 2) return;
  at::Tensor bias = bias_.clone();
  bias.select(1, 1).fill_(-std::numeric_limits<float>::infinity());
  const at::Tensor shown = attention(q_, k_, v_, bias);
  expect_near(shown, wanted(bias));
  v_.select(1, 1).fill_(1e6);
  EXPECT_TRUE(at::equal(attention(q_, k_, v_, bias), shown));
}

TEST_P(AttentionCases, OneSetOfKeysServesABatch) {
  const at::Tensor k = k_.narrow(0, 0, 1), v = v_.narrow(0, 0, 1), bias = bias_.narrow(0, 0, 1);
  const std::vector<int64_t> repeats = {GetParam().batch, 1, 1, 1};
  EXPECT_TRUE(at::equal(
      attention(q_, k, v, bias),
      attention(q_, k.repeat(repeats), v.repeat(repeats), bias.repeat({GetParam().batch, 1}))));
}

TEST_P(AttentionCases, GivesTheSameBytesAtAnyNumberOfThreads) {
  EXPECT_TRUE(same_at_any_number_of_threads([&] { return attention(q_, k_, v_); }));
  EXPECT_TRUE(same_at_any_number_of_threads([&] { return attention(q_, k_, v_, bias_); }));
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionCases, testing::ValuesIn(attention_cases()));

}  // namespace
}  // namespace sora::kernels
