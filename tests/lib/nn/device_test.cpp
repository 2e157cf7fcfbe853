#include "lib/nn/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cuda/gpu.h"
#include "tests/error_of.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

TEST(Device, IsTheCpuWhereThatIsAskedFor) { EXPECT_EQ(choose_device("cpu"), at::Device(at::kCPU)); }

TEST(Device, IsTheGpuWhereThereIsOneAndElseTheCpu) {
  const bool has_gpu = kernels::cuda::gpu_is_available();
  EXPECT_EQ(choose_device("auto").type(), has_gpu ? at::kCUDA : at::kCPU);
  EXPECT_EQ(device_names().back(), has_gpu ? "cuda" : "cpu");
}

TEST(Device, CudaWithoutAGpuSaysWhatIsMissing) {
  if (kernels::cuda::gpu_is_available()) GTEST_SKIP() << "there is a GPU";
  const Error error = error_of([] { choose_device("cuda"); });
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
  EXPECT_THAT(error.what(), HasSubstr(kernels::cuda::why_no_gpu()));
}

TEST(Device, EachRankOfAMachineHasAGpuOfItsOwn) {
  EXPECT_EQ(gpu_of(0, 1, 1), at::Device(at::kCUDA, 0));
  EXPECT_EQ(gpu_of(2, 4, 8), at::Device(at::kCUDA, 2));
  const Error error = error_of([] { gpu_of(0, 4, 2); });
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
  EXPECT_THAT(error.what(), HasSubstr("4 ranks on this machine want a GPU each and it has 2"));
}

TEST(Device, AnotherNameIsRefused) {
  EXPECT_THAT(error_of([] { choose_device("tpu"); }).what(), HasSubstr("auto, cpu or cuda"));
}

}  // namespace
}  // namespace sora
