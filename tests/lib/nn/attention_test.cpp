#include "lib/nn/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace sora {
namespace {

TEST(CollapsePadding, GivesTheSameAttentionAsAllThePaddedKeys) {
  constexpr int64_t kTotal = 200, kHeads = 3, kWidth = 30;
  const std::vector<int64_t> num_tokens = {5, 40};
  const CollapsedPadding kept = collapse_padding(num_tokens, kTotal);
  ASSERT_TRUE(kept.bias_BS.defined());
  EXPECT_LT(kept.num_rows, 60);

  at::manual_seed(1);
  const at::Tensor q = at::randn({2, 17, kWidth});
  const at::Tensor k = at::randn({2, kTotal, kWidth}), v = at::randn({2, kTotal, kWidth});
  for (int64_t b = 0; b < 2;
       ++b) {  // every padded row is the same vector, as a projection of zeros is
    const int64_t real = num_tokens[static_cast<size_t>(b)];
    k[b].narrow(0, real, kTotal - real).copy_(k[b][real].clone());
    v[b].narrow(0, real, kTotal - real).copy_(v[b][real].clone());
  }
  const at::Tensor all = multi_head_attention(q, k, v, kHeads);
  const at::Tensor few = multi_head_attention(q, k.narrow(1, 0, kept.num_rows),
                                              v.narrow(1, 0, kept.num_rows), kHeads, kept.bias_BS);
  EXPECT_LT((all - few).abs().max().item<double>(),
            2e-5);  // the exponential of the f32 kernel has 20 bits
}

TEST(CollapsePadding, LeavesAFullTextAlone) {
  const CollapsedPadding kept = collapse_padding({512}, 512);
  EXPECT_EQ(kept.num_rows, 512);
  EXPECT_FALSE(kept.bias_BS.defined());
}

TEST(CollapsePadding, KeepsOneRowOfAnEmptyText) {
  const CollapsedPadding kept = collapse_padding({0}, 512);
  ASSERT_TRUE(kept.bias_BS.defined());
  EXPECT_NEAR(kept.bias_BS[0][0].item<double>(), std::log(512.0), 1e-6);
  EXPECT_EQ((kept.bias_BS[0] > -1e30).sum().item<int64_t>(), 1);
}

}  // namespace
}  // namespace sora
