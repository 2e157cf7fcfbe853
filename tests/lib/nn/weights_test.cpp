#include "lib/nn/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/lib/tensor_io/gguf_bytes.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class WeightsTest : public ::testing::Test {
 protected:
  WeightsTest() {
    write_safetensors(scratch_ / "w.safetensors",
                      {{"blocks.0.weight", at::arange(6, at::kFloat).reshape({2, 3})},
                       {"blocks.0.half", at::ones({2}, at::kBFloat16)},
                       {"blocks.0.fp8", at::ones({2}).to(at::kFloat8_e4m3fn)},
                       {"count", at::ones({1}, at::kLong)}});
    checkpoint_ = std::make_shared<Checkpoint>(Checkpoint::open(scratch_ / "w.safetensors"));
  }

  ScratchDirectory scratch_;
  std::shared_ptr<const Checkpoint> checkpoint_;
};

TEST_F(WeightsTest, UsesAStoredTensorInPlace) {
  const Weights block = Weights(checkpoint_, at::kFloat)["blocks"][0];
  EXPECT_EQ(block.get("weight", {2, 3}).const_data_ptr(),
            checkpoint_->get("blocks.0.weight").const_data_ptr());
  EXPECT_EQ(block.get_f32("weight", {2, 3}).const_data_ptr(),
            checkpoint_->get("blocks.0.weight").const_data_ptr());
}

TEST_F(WeightsTest, ConvertsToTheDtypeAskedFor) {
  const Weights block = Weights(checkpoint_, at::kBFloat16)["blocks"][0];
  EXPECT_EQ(block.get("weight", {2, 3}).scalar_type(), at::kBFloat16);
  EXPECT_EQ(block.get_f32("half", {2}).scalar_type(), at::kFloat);
  EXPECT_EQ(block.get("half", {2}).const_data_ptr(),
            checkpoint_->get("blocks.0.half").const_data_ptr());
  EXPECT_EQ(block.get_f32("fp8", {2}).sum().item<float>(), 2);
}

TEST_F(WeightsTest, NamesTheFullKeyAndBothShapes) {
  const Weights block = Weights(checkpoint_, at::kFloat)["blocks"][0];
  const Error error = error_of([&] { block.get("weight", {3, 2}); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_THAT(error.what(),
              HasSubstr("w.safetensors: blocks.0.weight has shape [2, 3], expected [3, 2]"));
  EXPECT_THAT(error_of([&] { block.get("bias", {3}); }).what(), HasSubstr("blocks.0.bias"));
  EXPECT_FALSE(block.has("bias"));
  EXPECT_TRUE(block.has("weight"));
}

TEST_F(WeightsTest, RefusesIntegersWhereNumbersWithFractionsAreWanted) {
  EXPECT_THAT(error_of([&] { Weights(checkpoint_, at::kFloat).get("count", {1}); }).what(),
              HasSubstr("dtype I64"));
}

TEST_F(WeightsTest, OfAPackedTensorThatWasReshapedTheRowsAreTheShapesOwn) {
  // Three blocks of Q8_0, [3, 32] as stored and [2, 48] as used.
  const at::Tensor values = at::arange(96, at::kFloat).sub(40);
  std::string blocks;
  for (int64_t block = 0; block < 3; ++block) {
    blocks += std::string("\x00\x3c", 2);  // 1 in F16
    for (int64_t i = 0; i < 32; ++i)
      blocks += static_cast<char>(values[block * 32 + i].item<float>());
  }
  constexpr uint32_t kArray = 9, kInt32 = 5, kQ8_0 = 8;
  const std::string file = GgufBytes()
                               .head(1, 1)
                               .text("comfy.gguf.orig_shape.a")
                               .u32(kArray)
                               .u32(kInt32)
                               .u64(2)
                               .u32(2)
                               .u32(48)
                               .tensor("a", {32, 3}, kQ8_0, 0)
                               .data(0)
                               .raw(blocks)
                               .raw(std::string((32 - blocks.size() % 32) % 32, '\0'))
                               .str();
  const fs::path path = scratch_.write("w.gguf", file);
  const Weights weights(std::make_shared<Checkpoint>(Checkpoint::open(path)), at::kFloat);
  const at::Tensor expected = values.reshape({2, 48});
  EXPECT_TRUE(at::equal(weights.get("a", {2, 48}), expected));
  EXPECT_TRUE(at::equal(weights.get_rows("a", {2, 48}, {1, 0}), expected.flip(0)));
  const WeightMatrix matrix = weights.get_matrix("a", 2, 48);
  EXPECT_FALSE(matrix.packed);
  EXPECT_TRUE(at::equal(matrix.plain_NK, expected));
}

TEST_F(WeightsTest, NamesTensorsNobodyAskedFor) {
  const Weights weights(checkpoint_, at::kFloat);
  weights["blocks"][0].get("weight", {2, 3});
  const Error error = error_of([&] { weights.check_all_used(); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_THAT(
      error.what(),
      HasSubstr("3 tensors have no place in this model: blocks.0.fp8, blocks.0.half, count"));
}

}  // namespace
}  // namespace sora
