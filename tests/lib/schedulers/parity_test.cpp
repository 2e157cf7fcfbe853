// Every scheduler against diffusers: schedules, whole runs, runs begun in the middle.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <vector>

#include "tests/lib/schedulers/fixture.h"

namespace sora {
namespace {

constexpr double kTolerance = 1e-5;
// Of f32: what libtorch's logarithms and powers differ by from processor to processor.
constexpr double kTwoUnitsInLastPlace = 0x1p-22;

class Parity : public ::testing::TestWithParam<std::string> {
 protected:
  SchedulerCase case_{GetParam()};
};

std::vector<double> values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kDouble).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

// The samples that follow `samples[0]`, compared one by one as far as the reference is finite.
double worst_error(Scheduler& scheduler, int first_step, const at::Tensor& samples) {
  at::Tensor sample = samples[0];
  double worst = 0;
  for (int64_t i = 1; i < samples.size(0); ++i) {
    const int step = first_step + static_cast<int>(i) - 1;
    const double timestep = scheduler.schedule().timesteps[static_cast<size_t>(step)];
    sample = scheduler.step(fixture_velocity(sample, timestep), step, sample);
    worst = std::max(worst, relative_error(sample, samples[i]));
  }
  return worst;
}

TEST_P(Parity, TheSchedulesAreEqual) {
  const auto scheduler = case_.scheduler();
  for (const int steps : case_.description["steps"].get<std::vector<int>>()) {
    scheduler->set_timesteps(steps);
    const Schedule& schedule = scheduler->schedule();
    ASSERT_EQ(schedule.sigmas.size(), schedule.timesteps.size() + 1);
    EXPECT_EQ(schedule.timesteps, values(case_.tensors.get("timesteps." + std::to_string(steps))));
    const std::vector<double> sigmas = values(case_.tensors.get("sigmas." + std::to_string(steps)));
    ASSERT_EQ(schedule.sigmas.size(), sigmas.size());
    for (size_t i = 0; i < sigmas.size(); ++i)
      EXPECT_LE(std::abs(schedule.sigmas[i] - sigmas[i]), kTwoUnitsInLastPlace * sigmas[i])
          << steps;
  }
}

TEST_P(Parity, TheWholeRunIsEqual) {
  const auto scheduler = case_.scheduler();
  double worst = 0;
  for (const int steps : case_.description["steps"].get<std::vector<int>>()) {
    scheduler->set_timesteps(steps);
    const at::Tensor samples = case_.tensors.get("samples." + std::to_string(steps));
    if (!case_.description["not_finite_from"].contains(std::to_string(steps))) {
      ASSERT_EQ(samples.size(0), steps + 1);
    }
    const double error = worst_error(*scheduler, 0, samples);
    EXPECT_LE(error, kTolerance) << steps << " steps";
    worst = std::max(worst, error);
  }
  RecordProperty("worst_relative_error", std::to_string(worst));
  if (std::getenv("SORA_TEST_FIGURES")) std::cout << GetParam() << " " << worst << "\n";
}

TEST_P(Parity, ARunBegunInTheMiddleIsEqual) {
  const auto scheduler = case_.scheduler();
  for (const int steps : {4, 20}) {
    scheduler->set_timesteps(steps);
    const int first_step = steps / 3;
    scheduler->start_at(first_step);
    const at::Tensor samples = case_.tensors.get("from." + std::to_string(steps));
    const at::Tensor noised =
        scheduler->add_noise(case_.tensors.get("clean"), case_.tensors.get("start"), first_step);
    EXPECT_LE(relative_error(noised, samples[0]), 1e-6);
    EXPECT_LE(worst_error(*scheduler, first_step, samples), kTolerance) << steps << " steps";
  }
}

// The reference rounds its products to bf16 where we widen first.
TEST_P(Parity, Bf16VelocitiesStayWithinTheReferencesOwnDistance) {
  const auto scheduler = case_.scheduler();
  scheduler->set_timesteps(20);
  const at::Tensor in_f32 = case_.tensors.get("samples.20");
  const at::Tensor in_bf16 = case_.tensors.get("bf16.20");
  const int64_t count = std::min(in_f32.size(0), in_bf16.size(0));
  at::Tensor sample = in_f32[0];
  for (int64_t i = 1; i < count; ++i) {
    const int step = static_cast<int>(i) - 1;
    const double timestep = scheduler->schedule().timesteps[static_cast<size_t>(step)];
    const at::Tensor velocity = fixture_velocity(sample, timestep).to(at::kBFloat16);
    sample = scheduler->step(velocity, step, sample);
    ASSERT_EQ(sample.scalar_type(), at::kFloat);
  }
  // Two roundings of the same velocities differ by chance, so twice the distance, and one bf16
  // unit.
  EXPECT_LE(relative_error(sample, in_f32[count - 1]),
            2 * relative_error(in_bf16[count - 1], in_f32[count - 1]) + 0.004);
}

INSTANTIATE_TEST_SUITE_P(Diffusers, Parity, ::testing::ValuesIn(scheduler_case_names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(Fixtures, EverySchedulerAndOrderIsAmongThem) {
  const std::vector<std::string> names = scheduler_case_names();
  EXPECT_GE(names.size(), 40u);
  for (const char* wanted :
       {"unipc_bh1_order3", "unipc_bh2_order3", "unipc_shift12", "unipc_karras", "euler_shift5",
        "euler_karras", "dpmpp_order2", "dpmpp_order3", "dpmpp_heun"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), wanted), names.end()) << wanted;
  }
}

}  // namespace
}  // namespace sora
