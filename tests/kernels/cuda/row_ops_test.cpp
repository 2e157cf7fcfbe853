// Which tensors the kernels for rows take: 16 bytes are read by an instruction.
#include "kernels/cuda/row_ops.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace sora::kernels::cuda {
namespace {

// [rows, columns] of numbers that begin `skipped` after a multiple of 16 bytes, `stride` apart.
at::Tensor strided(int64_t rows, int64_t columns, int64_t stride, int64_t skipped) {
  return at::zeros({skipped + rows * stride}).as_strided({rows, columns}, {stride, 1}, skipped);
}

TEST(RowOpsOnAGpu, TakeRowsThatBeginAtMultiplesOf16Bytes) {
  EXPECT_TRUE(fits_rows(strided(3, 24, 24, 0)));
  EXPECT_TRUE(fits_rows(strided(3, 24, 24, 4)));
  EXPECT_FALSE(fits_rows(strided(3, 24, 24, 1)));
  EXPECT_FALSE(fits_rows(strided(3, 20, 20, 0))) << "not a multiple of 8 numbers";
  EXPECT_FALSE(fits_rows(strided(3, 24, 48, 0))) << "not one after the other";
}

TEST(RowOpsOnAGpu, TakeWeightsWhoseRowsBeginAtMultiplesOf16Bytes) {
  EXPECT_TRUE(fits_beside_rows(strided(3, 24, 48, 4)));
  EXPECT_TRUE(fits_beside_rows(strided(3, 24, 28, 0)));
  EXPECT_FALSE(fits_beside_rows(strided(3, 24, 24, 2)));
  EXPECT_FALSE(fits_beside_rows(strided(3, 24, 26, 0)));
  EXPECT_TRUE(fits_beside_rows(strided(1, 24, 26, 0))) << "one row has no next one";
  EXPECT_TRUE(fits_beside_rows(strided(1, 24, 24, 0).select(0, 0)));
  EXPECT_FALSE(fits_beside_rows(strided(1, 24, 24, 1).select(0, 0)));
  EXPECT_TRUE(fits_beside_rows({}));
}

}  // namespace
}  // namespace sora::kernels::cuda
