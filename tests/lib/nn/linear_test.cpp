#include "lib/nn/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "lib/tensor_io/safetensors.h"
#include "tests/relative_error.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

constexpr double kRounding = 0.01;  // of a result in bf16, in its norm

class LinearLayer : public ::testing::Test {
 protected:
  LinearLayer() {
    at::manual_seed(3);
    write_safetensors(scratch_ / "w.safetensors", {{"first.weight", at::randn({64, 96}) / 10},
                                                   {"first.bias", at::randn({64})},
                                                   {"second.weight", at::randn({32, 64}) / 8},
                                                   {"second.bias", at::randn({32})}});
    checkpoint_ = std::make_shared<Checkpoint>(Checkpoint::open(scratch_ / "w.safetensors"));
  }
  at::Tensor stored(const char* name) const { return checkpoint_->get(name).to(at::kBFloat16); }

  ScratchDirectory scratch_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  const at::Tensor x_ = at::randn({5, 96}).to(at::kBFloat16);
};

TEST_F(LinearLayer, KeepsOneCopyOfAWeightInAnotherType) {
  const Linear layer(Weights(checkpoint_, at::kBFloat16)["first"], 96, 64);
  EXPECT_EQ(layer.packed().defined(), layer.weight().is_meta());
  EXPECT_EQ(layer.weight().sizes(), (std::vector<int64_t>{64, 96}));
  for (const Activation activation :
       {Activation::None, Activation::Gelu, Activation::GeluTanh, Activation::Silu}) {
    const at::Tensor wanted =
        kernels::reference::linear(x_, stored("first.weight"), stored("first.bias"), activation);
    EXPECT_LE(relative_error(layer(x_, activation), wanted), kRounding);
  }
}

TEST_F(LinearLayer, FeedForwardNeedsNoMore) {
  const Weights weights(checkpoint_, at::kBFloat16);
  for (const Activation activation : {Activation::Gelu, Activation::GeluTanh}) {
    const FeedForward layers({weights["first"], 96, 64}, {weights["second"], 64, 32}, activation);
    const at::Tensor inner =
        kernels::reference::linear(x_, stored("first.weight"), stored("first.bias"), activation);
    const at::Tensor wanted = kernels::reference::linear(inner, stored("second.weight"),
                                                         stored("second.bias"), Activation::None);
    EXPECT_LE(relative_error(layers(x_), wanted), kRounding);
  }
}

}  // namespace
}  // namespace sora
