#include "kernels/cpu/flash_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace sora::kernels::cpu {
namespace {

TEST(FlashAttention, FitsTensorsOfOneTypeOnly) {
  const at::Tensor f32 = at::zeros({1, 40, 2, 32}), bf16 = f32.to(at::kBFloat16);
  for (const at::Tensor& x : {f32, bf16}) {
    const at::Tensor& other = x.scalar_type() == at::kFloat ? bf16 : f32;
    EXPECT_TRUE(fits_flash_attention(x, x, x));
    EXPECT_FALSE(fits_flash_attention(other, x, x));
    EXPECT_FALSE(fits_flash_attention(x, other, x));
    EXPECT_FALSE(fits_flash_attention(x, x, other));
  }
  const at::Tensor f64 = f32.to(at::kDouble);
  EXPECT_FALSE(fits_flash_attention(f64, f64, f64));
}

}  // namespace
}  // namespace sora::kernels::cpu
