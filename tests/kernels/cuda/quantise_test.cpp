// What Quantiser makes of a call, read back: numbers times their units are near what they were.
#include "kernels/cuda/hopper/quantise.h"

#include <gtest/gtest.h>

#include "tests/kernels/cases.h"
#include "tests/kernels/cuda/emulated_attention.h"

namespace sora::kernels::cuda::hopper {
namespace {

class QuantiserOfWidth : public testing::TestWithParam<int64_t> {
 protected:
  static constexpr int64_t kBatch = 2, kQueries = 101, kKeys = 200, kHeads = 2;

  void SetUp() override {
    at::manual_seed(6);
    const auto make = [&](int64_t length) {
      return at::randn({kBatch, length, kHeads, GetParam()}).to(at::kBFloat16);
    };
    q_ = make(kQueries);
    k_ = make(kKeys) + 3;
    v_ = make(kKeys) - 5;
    prepared_ = prepare_attention_int8(q_, k_, v_, {});
    GetParam() == 64 ? emulate_quantisation<64>(prepared_.problem)
                     : emulate_quantisation<128>(prepared_.problem);
  }
  // [B, H, rows, K] as it was.
  static at::Tensor by_head(const at::Tensor& x) { return x.to(at::kFloat).transpose(1, 2); }
  template <class Number>
  static at::Tensor view(Number* data, at::IntArrayRef shape, at::ScalarType type) {
    return at::from_blob(data, shape, at::TensorOptions(type)).to(at::kFloat);
  }
  at::Tensor floats(float* data, at::IntArrayRef shape) const {
    return view(data, shape, at::kFloat);
  }
  const Int8AttentionProblem& problem() const { return prepared_.problem; }

  at::Tensor q_, k_, v_;
  PreparedInt8Attention prepared_;
};

TEST_P(QuantiserOfWidth, RoundsEachQueryToHalfAUnit) {
  const at::Tensor units =
      floats(problem().query_units, {kBatch, kHeads, kQueries, 1}) / problem().scale;
  const at::Tensor numbers = view(problem().q8, {kBatch, kHeads, kQueries, GetParam()}, at::kChar);
  EXPECT_LE(largest((numbers * units - by_head(q_)) / units), 0.5001);
  EXPECT_TRUE(at::equal(numbers.abs().amax(3), at::full({kBatch, kHeads, kQueries}, 127.0F)));
}

TEST_P(QuantiserOfWidth, RoundsKeysLessTheirMeanToHalfAUnitOfTheirGroup) {
  const int64_t blocks = problem().padded_keys / kInt8Keys;
  const at::Tensor key = at::arange(kKeys);
  const at::Tensor group =
      key.floor_divide(kInt8Keys) * kInt8KeyGroups + key.floor_divide(2).remainder(kInt8KeyGroups);
  const at::Tensor units = floats(problem().key_units, {kBatch, kHeads, blocks * kInt8KeyGroups})
                               .index_select(2, group)
                               .unsqueeze(3);
  const at::Tensor numbers = view(problem().k8, {kBatch, kHeads, kKeys, GetParam()}, at::kChar);
  const at::Tensor wanted = by_head(k_) - by_head(k_).mean(2, true);
  EXPECT_LE(largest((numbers * units - wanted) / units), 0.502);  // and f32's own rounding of 3
}

TEST_P(QuantiserOfWidth, RoundsValuesLessTheirMeanInTheOrderOfProbabilities) {
  const int64_t padded = problem().padded_keys, width = GetParam();
  const at::Tensor units = floats(problem().value_units, {kBatch, kHeads, width, 1});
  const at::Tensor means = floats(problem().value_means, {kBatch, kHeads, width, 1});
  const at::Tensor numbers =
      view(problem().v8, {kBatch, kHeads, width, padded}, at::kFloat8_e4m3fn);
  std::vector<int64_t> place_of(static_cast<size_t>(kKeys));
  for (int64_t key = 0; key < kKeys; ++key) {
    const int64_t in16 = key % 16;
    place_of[static_cast<size_t>(key)] = key - in16 + in16 % 8 / 2 * 4 + in16 / 8 * 2 + in16 % 2;
  }
  const at::Tensor found = (numbers * units).index_select(3, at::tensor(place_of)) + means;
  const at::Tensor wanted = by_head(v_).transpose(2, 3);
  // A sixteenth of the number, and half of e4m3's least step.
  EXPECT_TRUE(((found - wanted).abs() <= (wanted - means).abs() / 16 * 1.001 + units / 1024 * 1.001)
                  .all()
                  .item<bool>());
  EXPECT_NEAR(numbers.abs().max().item<float>(), 448.0F, 0.0F);
  std::vector<int64_t> free;
  for (int64_t place = 0; place < padded; ++place)
    if (std::find(place_of.begin(), place_of.end(), place) == place_of.end()) free.push_back(place);
  EXPECT_EQ(largest(numbers.index_select(3, at::tensor(free))), 0.0);
}

INSTANTIATE_TEST_SUITE_P(Widths, QuantiserOfWidth, testing::Values(64, 128));

}  // namespace
}  // namespace sora::kernels::cuda::hopper
