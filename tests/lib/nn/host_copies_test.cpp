#include "lib/nn/host_copies.h"

#include <ATen/ATen.h>
#include <c10/core/AllocatorConfig.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/stand_in_device.h"

namespace sora {
namespace {

TEST(HostCopies, ArePinnedUntilTheyGo) {
  const int64_t before = stand_in_pinned_bytes();
  const at::Tensor x = at::arange(6, at::kFloat).view({2, 3}).t();
  {
    HostCopies copies(stand_in_device());
    EXPECT_FALSE(copies.has("x"));
    copies.add("x", x);
    EXPECT_TRUE(copies.has("x"));
    EXPECT_TRUE(copies.get("x").is_pinned());
    EXPECT_TRUE(at::equal(copies.get("x"), x));
    EXPECT_EQ(stand_in_pinned_bytes() - before, x.nbytes());
  }
  EXPECT_LE(stand_in_pinned_bytes(), before);
}

TEST(HostCopies, TakeNoMoreThanTheirTensors) {
  using c10::CachingAllocator::AcceleratorAllocatorConfig;
  if (!AcceleratorAllocatorConfig::getKeys().contains("pinned_max_round_threshold_mb"))
    GTEST_SKIP() << "this libtorch rounds pinned memory up to powers of two whatever it is told";
  const HostCopies copies(stand_in_device());
  EXPECT_THAT(c10::CachingAllocator::getAllocatorSettings(),
              ::testing::HasSubstr("pinned_max_round_threshold_mb:1,"));
}

}  // namespace
}  // namespace sora
