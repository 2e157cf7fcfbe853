// That the stand-in refuses what a GPU refuses; without it the runs on it would prove nothing.
#include "tests/stand_in_device.h"

#include <ATen/ATen.h>
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "lib/nn/side_stream.h"

namespace sora {
namespace {

class StandIn : public ::testing::Test {
 protected:
  at::Tensor numbers() const { return at::arange(12, at::kFloat).view({3, 4}); }
  at::Tensor placed() const { return numbers().to(stand_in_device()); }

 private:
  const c10::InferenceMode inference_;
};

TEST_F(StandIn, ComputesWhatTheCpuComputes) {
  const at::Tensor x = placed();
  EXPECT_EQ(x.device(), stand_in_device());
  EXPECT_TRUE(at::equal((x * 2 + x).cpu(), numbers() * 3));
  EXPECT_TRUE(at::equal(at::matmul(x, x.t()).cpu(), at::matmul(numbers(), numbers().t())));
  EXPECT_EQ(x.sum().item<double>(), 66);
  at::Tensor y = x.clone();
  y.narrow(1, 1, 2).zero_();
  EXPECT_EQ(y.sum().item<double>(), 66 - 33);
  const at::Tensor picture = at::randn({1, 4, 5, 6}), weight = at::randn({3, 4, 3, 3});
  const auto convolved = [](const at::Tensor& a, const at::Tensor& b) {
    return at::conv2d(a, b, {}, 1, 1);
  };
  EXPECT_TRUE(
      at::allclose(convolved(picture.to(stand_in_device()), weight.to(stand_in_device())).cpu(),
                   convolved(picture, weight), 1e-5, 1e-5));
}

TEST_F(StandIn, MakesTensorsOfItsOwnDevice) {
  const at::Tensor x = placed();
  for (const at::Tensor& made :
       {x + 1, x.t(), x.view({12}), x.select(0, 1), at::cat({x, x}), at::zeros_like(x),
        at::arange(3, x.options()), x.to(at::kBFloat16), x.unbind(0)[1], at::softmax(x, 1),
        std::get<0>(at::_unique2(x, true, true))}) {
    EXPECT_EQ(made.device(), stand_in_device());
  }
}

TEST_F(StandIn, RefusesTensorsOfTheCpu) {
  const at::Tensor x = placed(), y = numbers();
  EXPECT_THROW(x + y, c10::Error);
  EXPECT_THROW(at::matmul(x, y.t()), c10::Error);
  EXPECT_THROW(at::cat({x, y}), c10::Error);
  EXPECT_THROW(at::where(y > 2, x, x), c10::Error);
  EXPECT_THROW(x.index_select(0, at::zeros({1}, at::kLong)), c10::Error);
  EXPECT_THROW(at::softmax(x, 1).mul_(y), c10::Error);
  EXPECT_THROW(at::equal(x, y), c10::Error);
  EXPECT_THROW(at::conv2d(x.view({1, 1, 3, 4}), at::ones({1, 1, 1, 1})), c10::Error);
  EXPECT_THROW(at::equal(y, x), c10::Error);
}

TEST_F(StandIn, TakesNumbersOfTheCpuWhereCudaDoes) {
  const at::Tensor x = placed(), two = at::scalar_tensor(2.0, at::kFloat);
  EXPECT_TRUE(at::equal((two * x).cpu(), numbers() * 2));
  EXPECT_THROW(at::cat({x.flatten(), two.view({1})}), c10::Error);
  EXPECT_THROW(at::stack({x[0][0], two}), c10::Error);
}

TEST_F(StandIn, KeepsItsMemoryFromProgramsThatReachForIt) {
  const at::Tensor x = placed();
  EXPECT_DEATH(
      {
        const volatile float first = *x.const_data_ptr<float>();
        (void)first;
      },
      "");
}

TEST_F(StandIn, RefusesATensorOfAnotherStreamThatWasNotWaitedFor) {
  SideStream copies(stand_in_device());
  at::Tensor x;
  copies.mark();
  copies.run([&] { x = placed(); });
  EXPECT_THROW(x + 1, c10::Error);
  copies.join();
  EXPECT_EQ((x + 1).sum().item<double>(), 66 + 12);
  const at::Tensor later =
      placed();  // not seen by the stream that was told to wait for what came before
  EXPECT_THROW(copies.run([&] { later.sum(); }), c10::Error);
  copies.mark();
  copies.run([&] { later.sum(); });
}

TEST_F(StandIn, KeepsPinnedMemoryThatWasLetGoUntilItIsAskedForIt) {
  at::HostAllocator* const allocator = at::getHostAllocator(stand_in_device().type());
  allocator->empty_cache();
  at::Tensor pinned = numbers().pin_memory();
  EXPECT_TRUE(pinned.is_pinned());
  EXPECT_EQ(stand_in_pinned_bytes(), numbers().nbytes());
  pinned = at::Tensor();
  EXPECT_EQ(stand_in_pinned_bytes(), numbers().nbytes());
  allocator->empty_cache();
  EXPECT_EQ(stand_in_pinned_bytes(), 0);
}

// What FrameRing (lib/pipelines/frame_ring.h) does, and without each of its waits.
class StandInCopies : public StandIn {
 protected:
  at::Tensor pinned() const {
    return at::empty({3, 4}, at::TensorOptions(at::kFloat).pinned_memory(true));
  }
  void copy(const at::Tensor& from, const at::Tensor& to) {
    side_.run([&] { to.copy_(from, /*non_blocking=*/true); });
  }

  SideStream side_{stand_in_device()};
};

TEST_F(StandInCopies, AreThereWhenTheEventBehindThemWasWaitedFor) {
  const at::Tensor x = placed(), to = pinned();
  EXPECT_TRUE(to.is_pinned());
  side_.mark();
  copy(x, to);
  const c10::Event copied = side_.end();
  EXPECT_FALSE(at::equal(to, numbers()));
  copied.synchronize();
  EXPECT_TRUE(at::equal(to, numbers()));
}

TEST_F(StandInCopies, WaitForWhatMakesTheTensor) {
  side_.mark();
  const at::Tensor x = placed(), to = pinned();
  EXPECT_THROW(copy(x, to), c10::Error);
}

TEST_F(StandInCopies, RefuseATensorThatIsFreedMeanwhile) {
  const at::Tensor to = pinned();
  {
    const at::Tensor x = placed();
    side_.mark();
    copy(x, to);
  }
  EXPECT_THROW(side_.end().synchronize(), c10::Error);
}

TEST_F(StandInCopies, RefuseATensorThatIsWrittenToMeanwhile) {
  const at::Tensor x = placed(), to = pinned();
  side_.mark();
  copy(x, to);
  x.zero_();
  EXPECT_THROW(side_.end().synchronize(), c10::Error);
}

TEST_F(StandInCopies, RefusePinnedMemoryThatIsCopiedToAlready) {
  const at::Tensor x = placed(), to = pinned();
  side_.mark();
  copy(x, to);
  EXPECT_THROW(copy(x, to), c10::Error);
  side_.end().synchronize();
  copy(x, to);
  side_.end().synchronize();
}

TEST_F(StandIn, CountsItsMemory) {
  const int64_t before = stand_in_bytes();
  {
    const at::Tensor x = at::zeros({1024}, at::TensorOptions(at::kFloat).device(stand_in_device()));
    EXPECT_EQ(stand_in_bytes() - before, 4096);
  }
  EXPECT_EQ(stand_in_bytes(), before);
}

}  // namespace
}  // namespace sora
