// Note [Frames in flight] on the stand-in for a GPU, which holds each wait to be there
// (tests/stand_in_device_test.cpp has them missing).
#include "lib/pipelines/frame_ring.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/stand_in_device.h"

namespace sora {
namespace {

using ::testing::ElementsAre;

class FrameRings : public ::testing::Test {
 protected:
  static at::Tensor chunk(int64_t number, int64_t frames = 2) {
    return at::arange(frames * 3 * 4 * 3).add(number).to(at::kByte).view({frames, 3, 4, 3});
  }

  // The tensor on the device lives no longer than the call.
  static void push(FrameRing& ring, const at::Tensor& frames) {
    ring.push(frames.to(stand_in_device()));
  }

  FrameRing::TakeFrames take() {
    return [this](const at::Tensor& frames) { taken_.push_back(frames); };
  }

  std::vector<at::Tensor> taken_;

 private:
  const c10::InferenceMode inference_;
};

TEST_F(FrameRings, HandOnEveryChunkInOrder) {
  FrameRing ring(take());
  for (const int64_t frames : {1, 4, 4, 2, 4, 4, 1}) push(ring, chunk(frames * 10, frames));
  ring.finish();
  ASSERT_EQ(taken_.size(), 7);
  size_t next = 0;
  for (const int64_t frames : {1, 4, 4, 2, 4, 4, 1}) {
    EXPECT_TRUE(taken_[next].is_cpu() && !taken_[next].is_pinned());
    EXPECT_TRUE(at::equal(taken_[next++], chunk(frames * 10, frames)));
  }
}

TEST_F(FrameRings, LetTheDeviceGoOnWhileTheCpuTakesFrames) {
  FrameRing ring(take());
  std::vector<size_t> after_each;
  for (int64_t number = 0; number < 5; ++number) {
    push(ring, chunk(number));
    after_each.push_back(taken_.size());
  }
  EXPECT_THAT(after_each, ElementsAre(0, 0, 1, 2, 3));
}

TEST_F(FrameRings, PassFramesOfTheCpuAtOnce) {
  FrameRing ring(take());
  const at::Tensor frames = chunk(1);
  ring.push(frames);
  ASSERT_EQ(taken_.size(), 1);
  EXPECT_TRUE(taken_[0].is_same(frames));
}

TEST_F(FrameRings, AreLeftInOrderWhereTheTakerThrows) {
  const int64_t before = stand_in_bytes();
  const auto decode = [] {
    FrameRing ring([](const at::Tensor&) { throw std::runtime_error("the disk is full"); });
    for (int64_t number = 0; number < 3; ++number) push(ring, chunk(number));
  };
  EXPECT_THROW(decode(), std::runtime_error);
  EXPECT_EQ(stand_in_bytes(), before);
  // Nothing is on its way any more: the next wait finds no copy whose memory has gone.
  const at::Tensor one = at::ones({1}).to(stand_in_device());
  EXPECT_EQ(one.item<float>(), 1);
}

}  // namespace
}  // namespace sora
