#include "kernels/cuda/hopper/matrix_descriptor.h"

#include <gtest/gtest.h>

namespace sora::kernels::cuda::hopper {
namespace {

TEST(MatrixDescriptor, AdvancesByItsAddressAlone) {
  constexpr uint32_t kSharedBytes = 227 * 1024;
  for (uint32_t at = 0; at < kSharedBytes; at += kSwizzleUnitBytes) {
    for (const uint32_t bytes : {0U, 32U, 96U, kSwizzleUnitBytes, kSharedBytes - 16 - at}) {
      if (at + bytes >= kSharedBytes) continue;
      EXPECT_EQ(advanced(rows_descriptor(at), bytes), rows_descriptor(at + bytes));
      EXPECT_EQ(advanced(columns_descriptor(at, 22528), bytes),
                columns_descriptor(at + bytes, 22528));
    }
  }
}

}  // namespace
}  // namespace sora::kernels::cuda::hopper
