#include "lib/schedulers/noise.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/core/json_file.h"
#include "lib/tensor_io/checkpoint.h"

namespace sora {
namespace {

class Noise : public ::testing::Test {
 protected:
  const std::filesystem::path folder_ = std::filesystem::path(SORA_TEST_DATA) / "noise";
  const Checkpoint tensors_ = Checkpoint::open(folder_ / "torch_cpu_generator.safetensors");
};

TEST_F(Noise, EqualsTorchsGeneratorAtEverySeedAndSize) {
  const nlohmann::json description = read_json_file(folder_ / "torch_cpu_generator.json");
  const auto seeds = description["seeds"].get<std::vector<uint64_t>>();
  const auto sizes = description["sizes"].get<std::vector<int64_t>>();
  ASSERT_GE(seeds.size(), 5u);
  ASSERT_LT(*std::min_element(sizes.begin(), sizes.end()), 16);
  for (const uint64_t seed : seeds) {
    for (const int64_t size : sizes) {
      const std::string key = "randn.seed" + std::to_string(seed) + ".size" + std::to_string(size);
      NoiseSource source(seed);
      EXPECT_TRUE(at::equal(source.draw({size}), tensors_.get(key + ".first"))) << key;
      EXPECT_TRUE(at::equal(source.draw({size}), tensors_.get(key + ".second"))) << key;
    }
  }
}

TEST_F(Noise, EqualsTorchsGeneratorForLatents) {
  const at::Tensor latents = NoiseSource(42).draw({1, 16, 3, 5, 7});
  EXPECT_EQ(latents.scalar_type(), at::kFloat);
  EXPECT_TRUE(latents.is_contiguous());
  EXPECT_TRUE(at::equal(latents, tensors_.get("latents.seed42")));
}

TEST_F(Noise, DoesNotDependOnTheNumberOfThreads) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = NoiseSource(7).draw({1, 16, 9, 32, 32});
  at::set_num_threads(4);
  const at::Tensor four = NoiseSource(7).draw({1, 16, 9, 32, 32});
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, four));
}

TEST_F(Noise, SourcesOfOneSeedAreIndependentOfEachOther) {
  NoiseSource first(3);
  NoiseSource second(3);
  const at::Tensor a = first.draw({20});
  first.draw({20});
  EXPECT_TRUE(at::equal(second.draw({20}), a));
  EXPECT_FALSE(at::equal(NoiseSource(4).draw({20}), a));
}

}  // namespace
}  // namespace sora
