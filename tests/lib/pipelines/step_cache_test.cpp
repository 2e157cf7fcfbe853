// On velocities that are known functions of latents and time.
#include "lib/pipelines/step_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>

namespace sora {
namespace {

// Counts how often it is asked.
class Field : public Denoiser {
 public:
  explicit Field(std::function<at::Tensor(const at::Tensor&, const NoiseStep&)> of)
      : of_(std::move(of)) {}
  at::Tensor velocity(const at::Tensor& latents, const NoiseStep& step) override {
    asked_at.push_back(step.timestep);
    return of_(latents, step);
  }
  std::vector<double> asked_at;

 private:
  std::function<at::Tensor(const at::Tensor&, const NoiseStep&)> of_;
};

constexpr int kSteps = 20;

// Euler from noise to picture; returns the last latents.
at::Tensor run(Denoiser& denoiser) {
  at::Tensor x = at::ones({1, 2, 1, 4, 4});
  for (int i = 0; i < kSteps; ++i) {
    const double sigma = 1.0 - static_cast<double>(i) / kSteps,
                 next = 1.0 - static_cast<double>(i + 1) / kSteps;
    x = x + (next - sigma) * denoiser.velocity(x, {1000 * sigma, sigma, next});
  }
  return x;
}

const auto kConstant = [](const at::Tensor& x, const NoiseStep&) { return at::full_like(x, 0.5); };

TEST(StepCache, WithoutAThresholdEveryStepIsComputed) {
  Field field(kConstant);
  StepCache cache(field, {0.0, kSteps, {}});
  run(cache);
  EXPECT_EQ(static_cast<int>(field.asked_at.size()), kSteps);
  EXPECT_EQ(cache.num_reused(), 0);
}

TEST(StepCache, AConstantVelocityIsComputedInTheFirstFifthAndTheLastStep) {
  Field field(kConstant), whole(kConstant);
  StepCache cache(field, {0.05, kSteps, {}});
  EXPECT_TRUE(at::equal(run(cache), run(whole)));
  EXPECT_EQ(static_cast<int>(field.asked_at.size()), kSteps / 5 + 1);
  EXPECT_EQ(cache.num_reused(), kSteps - kSteps / 5 - 1);
  EXPECT_EQ(cache.num_steps(), kSteps);
  EXPECT_NEAR(field.asked_at.back(), 1000.0 / kSteps, 1e-9);
}

TEST(StepCache, ExpectedChangesAddUpToTheThreshold) {
  // v = x: a step of 1/20 changes it by about 1/20.
  const auto of = [](const at::Tensor& x, const NoiseStep&) { return x; };
  Field field(of), whole(of);
  StepCache never(field, {0.01, kSteps, {}});
  EXPECT_TRUE(at::equal(run(never), run(whole)));
  EXPECT_EQ(never.num_reused(), 0);
  StepCache some(field, {0.12, kSteps, {}}), more(field, {0.3, kSteps, {}});
  const at::Tensor exact = run(whole), near = run(some), far = run(more);
  EXPECT_GT(some.num_reused(), 4);
  EXPECT_GT(more.num_reused(), some.num_reused());
  const auto error = [&](const at::Tensor& x) {
    return ((x - exact).abs().max() / exact.abs().max()).item<double>();
  };
  EXPECT_LT(error(near), 0.1);
  EXPECT_LT(error(near), error(far));
}

TEST(StepCache, AnExpertThatTakesOverIsAsked) {
  Field field(kConstant);
  StepCache cache(field, {0.05, kSteps, 475.0});
  run(cache);
  EXPECT_TRUE(std::any_of(field.asked_at.begin(), field.asked_at.end(),
                          [](double timestep) { return std::abs(timestep - 450.0) < 1e-6; }));
}

}  // namespace
}  // namespace sora
