// That the stand-in's graphs refuse what CUDA's refuse; without it the networks recorded on it
// would prove nothing.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/core/error.h"
#include "lib/nn/device_graph.h"
#include "lib/nn/side_stream.h"
#include "tests/error_of.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

class StandInGraphs : public ::testing::Test {
 protected:
  static at::Tensor placed(double number) {
    return at::full({3, 4}, number, at::kFloat).to(stand_in_device());
  }

  // What is wrong with the work.
  std::string refused(const std::function<void()>& work) {
    try {
      recorder_->record(work);
    } catch (const c10::Error& error) {
      return error.what_without_backtrace();
    }
    return "";
  }

  std::unique_ptr<GraphRecorder> recorder_ = make_graph_recorder(stand_in_device());

 private:
  const c10::InferenceMode inference_;
};

TEST_F(StandInGraphs, DoTheSameAgainOnWhatIsThereThen) {
  const at::Tensor x = placed(1);
  at::Tensor y;
  const auto graph = recorder_->record([&] {
    const at::Tensor inner = (x * 2).narrow(1, 1, 2);
    inner.add_(1);
    y = at::cat({inner, x}, 1).sum(1);
  });
  for (const double number : {1.0, 5.0}) {
    x.copy_(placed(number));
    graph->replay();
    EXPECT_EQ(y.cpu()[0].item<double>(), 2 * (2 * number + 1) + 4 * number);
  }
}

TEST_F(StandInGraphs, HaveComputedNothingBeforeTheyAreReplayed) {
  const at::Tensor x = placed(1);
  at::Tensor y;
  const auto graph = recorder_->record([&] { y = x + 1; });
  EXPECT_TRUE(y.isnan().all().item<bool>());
  graph->replay();
  EXPECT_EQ(y[0][0].item<double>(), 2);
}

TEST_F(StandInGraphs, OfOneRecorderShareTheirMemory) {
  const at::Tensor x = placed(1);
  at::Tensor y, z;
  const auto first = recorder_->record([&] { y = x + 1; });
  const auto second = recorder_->record([&] { z = x + 2; });
  first->replay();
  const at::Tensor kept = y.clone();
  second->replay();
  EXPECT_EQ(z[0][0].item<double>(), 3);
  EXPECT_EQ(kept[0][0].item<double>(), 2);
  EXPECT_TRUE(y.isnan().all().item<bool>());
}

TEST_F(StandInGraphs, RefuseToWaitForTheDeviceOrToCopyFromTheCpu) {
  const at::Tensor x = placed(1), of_cpu = at::ones({3, 4});
  EXPECT_THAT(refused([&] { x.sum().item<double>(); }), HasSubstr("waited for"));
  EXPECT_THAT(refused([&] { at::equal(x, x); }), HasSubstr("waited for"));
  EXPECT_THAT(refused([&] { x.cpu(); }), HasSubstr("between the device and the CPU"));
  EXPECT_THAT(refused([&] { of_cpu.to(stand_in_device()); }),
              HasSubstr("between the device and the CPU"));
  EXPECT_THAT(refused([&] { at::_unique2(x, true, true); }), HasSubstr("depends on the numbers"));
  EXPECT_THAT(refused([&] { x.masked_select(x > 0); }), HasSubstr("depends on the numbers"));
  EXPECT_THAT(refused([&] { (x * at::scalar_tensor(2.0, at::kFloat)).sum(); }),
              HasSubstr("a number of the CPU's"));
  EXPECT_EQ(refused([&] { (x * 2.0).sum(); }), "");
  EXPECT_THAT(refused([&] { x.add_(1); }), HasSubstr("not the graph's"));
}

TEST_F(StandInGraphs, RefuseOtherStreamsAndEvents) {
  const at::Tensor x = placed(1);
  SideStream side(stand_in_device());
  side.mark();
  side.run([&] { x.sum(); });
  EXPECT_THAT(refused([&] { side.mark(); }), HasSubstr("an event"));
  EXPECT_THAT(refused([&] { side.join(); }), HasSubstr("an event"));
  const c10::Event end = side.end();
  EXPECT_THAT(refused([&] { end.synchronize(); }), HasSubstr("an event"));
}

TEST_F(StandInGraphs, RefuseToBeReplayedOnMemoryThatHasGoneOrIsNotMade) {
  at::Tensor x = placed(1), y;
  const auto graph = recorder_->record([&] { y = x + 1; });
  graph->replay();
  SideStream side(stand_in_device());
  side.mark();
  side.run([&] { x.add_(1); });
  EXPECT_THROW(graph->replay(), c10::Error);
  side.join();
  graph->replay();
  EXPECT_EQ(y[0][0].item<double>(), 3);
  x = at::Tensor();
  EXPECT_THROW(graph->replay(), c10::Error);
}

TEST_F(StandInGraphs, RecordAgainAfterWorkThatWasRefused) {
  const at::Tensor x = placed(1);
  EXPECT_NE(refused([&] { x.cpu(); }), "");
  at::Tensor y;
  const auto graph = recorder_->record([&] { y = x + 1; });
  graph->replay();
  EXPECT_EQ(y[0][0].item<double>(), 2);
}

TEST(DeviceGraphs, AreNotMadeOnACpu) {
  EXPECT_FALSE(has_graphs(c10::DeviceType::CPU));
  const Error error = error_of([] { make_graph_recorder(at::kCPU); });
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
}

}  // namespace
}  // namespace sora
