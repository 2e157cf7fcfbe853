// What is kept of freed tensor memory, and for whom.
#include "lib/nn/tensor_memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sora {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

at::Tensor block_of(int64_t bytes) { return at::empty({bytes}, at::kByte); }

class TensorMemory : public ::testing::Test {
 protected:
  TensorMemory() { keep_tensor_memory(64 * kMiB); }
  ~TensorMemory() override { keep_tensor_memory(0); }
};

TEST_F(TensorMemory, ReturnsToTheNextTensorOfAboutItsSize) {
  at::Tensor first = block_of(16 * kMiB);
  const void* const memory = first.data_ptr();
  first.reset();
  EXPECT_EQ(kept_tensor_bytes(), 16 * kMiB);
  EXPECT_EQ(block_of(16 * kMiB - 1000).data_ptr(), memory);
  EXPECT_NE(block_of(3 * kMiB).data_ptr(), memory);
}

TEST_F(TensorMemory, IsNotSharedWhileInUse) {
  const at::Tensor first = block_of(16 * kMiB), second = block_of(16 * kMiB);
  EXPECT_NE(first.data_ptr(), second.data_ptr());
  EXPECT_EQ(kept_tensor_bytes(), 0);
}

TEST_F(TensorMemory, LeavesSmallTensorsToMalloc) {
  block_of(kMiB - 1);
  EXPECT_EQ(kept_tensor_bytes(), 0);
}

TEST_F(TensorMemory, KeepsNoMoreThanItsLimitAndTheLatestFirst) {
  at::Tensor oldest = block_of(8 * kMiB), middle = block_of(32 * kMiB),
             latest = block_of(32 * kMiB);
  const void* const memory = latest.data_ptr();
  oldest.reset();
  middle.reset();
  latest.reset();
  EXPECT_EQ(kept_tensor_bytes(), 64 * kMiB);
  keep_tensor_memory(32 * kMiB);
  EXPECT_EQ(kept_tensor_bytes(), 32 * kMiB);
  EXPECT_EQ(block_of(32 * kMiB).data_ptr(), memory);
}

TEST_F(TensorMemory, GivesAllBackWhenAsked) {
  block_of(16 * kMiB);
  release_tensor_memory();
  EXPECT_EQ(kept_tensor_bytes(), 0);
}

TEST_F(TensorMemory, OfBeforeItWasKeptIsFreedAsUsual) {
  at::Tensor grown = at::ones({2 * kMiB}, at::kByte);
  grown.resize_({4 * kMiB});
  EXPECT_EQ(grown[kMiB].item<int>(), 1);
}

TEST_F(TensorMemory, ServesSeveralThreads) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([thread] {
      for (int64_t i = 0; i < 20; ++i) {
        const at::Tensor mine = at::full({kMiB + i * 9973}, thread, at::kByte);
        ASSERT_TRUE(mine.eq(thread).all().item<bool>());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(kept_tensor_bytes(), 64 * kMiB);
}

}  // namespace
}  // namespace sora
