// What configs are accepted, what overrides do, and the rules of stepping.
#include "lib/schedulers/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "lib/core/error.h"
#include "lib/core/scheduler_names.h"
#include "tests/lib/schedulers/fixture.h"

namespace sora {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json config_of(const std::string& case_name) {
  return SchedulerCase(case_name).description["scheduler_config"];
}

json with(json config, const std::string& field, const json& value) {
  config[field] = value;
  return config;
}

// The message of the error that making a scheduler throws, which must be of `kind`.
std::string error_of(const json& config, const SchedulerOverrides& overrides = {},
                     ErrorKind kind = ErrorKind::Input) {
  try {
    make_scheduler(config, overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted " << config.dump();
  return "";
}

std::vector<double> sigmas_of(const json& config, const SchedulerOverrides& overrides, int steps) {
  const auto scheduler = make_scheduler(config, overrides);
  scheduler->set_timesteps(steps);
  return scheduler->schedule().sigmas;
}

TEST(MakeScheduler, ListsItsNames) {
  EXPECT_THAT(scheduler_names(), ElementsAre("unipc", "euler", "dpm++"));
}

TEST(MakeScheduler, ReadsTheFewFieldsOfAnOldConfig) {
  const json config = {{"_class_name", "FlowMatchEulerDiscreteScheduler"},
                       {"_diffusers_version", "0.30.0"},
                       {"num_train_timesteps", 1000},
                       {"shift", 3.0}};
  EXPECT_EQ(sigmas_of(config, {}, 20), sigmas_of(config_of("euler_shift3"), {}, 20));
}

TEST(MakeScheduler, TakesTheLevelsThatAModelWasDistilledFor) {
  json config = {{"_class_name", "FlowMatchEulerDiscreteScheduler"},
                 {"num_train_timesteps", 1000},
                 {"shift", 5.0}};
  config["sigmas"] = {1, 0.75, 0.5, 0.25};
  const std::vector<double> sigmas = sigmas_of(config, {}, 4);
  const std::vector<double> expected = {1, 0.9375, 5 / 6.0, 0.625, 0};
  ASSERT_EQ(sigmas.size(), expected.size());
  for (size_t i = 0; i < sigmas.size(); ++i) EXPECT_NEAR(sigmas[i], expected[i], 1e-7) << i;
  EXPECT_NEAR(sigmas_of(config, {}, 2)[1], 5 * 0.5 / 3,
              1e-7);  // another number of steps: even ones
  for (const std::vector<double>& wrong : {std::vector<double>{1, 0.5, 0.5}, {1.5, 1}, {1, 0}}) {
    config["sigmas"] = wrong;
    EXPECT_THAT(error_of(config), HasSubstr("\"sigmas\" does not fall"));
  }
}

TEST(MakeScheduler, AShiftReplacesTheDirectorys) {
  for (const char* kind : {"unipc", "euler"}) {
    const std::string name = kind;
    EXPECT_EQ(sigmas_of(config_of(name + "_shift3"), {.name = {}, .shift = 12.0}, 20),
              sigmas_of(config_of(name + "_shift12"), {}, 20));
  }
  EXPECT_EQ(sigmas_of(config_of("dpmpp_shift1"), {.name = {}, .shift = 5.0}, 20),
            sigmas_of(config_of("dpmpp_order2"), {}, 20));
}

TEST(MakeScheduler, ASwitchByNameKeepsTheDirectorysShift) {
  const json unipc = config_of("unipc_shift5");
  const json euler = config_of("euler_shift5");
  const json dpmpp = config_of("dpmpp_order2");
  for (const json& from : {unipc, euler, dpmpp}) {
    EXPECT_EQ(sigmas_of(from, {.name = "unipc", .shift = {}}, 20), sigmas_of(unipc, {}, 20));
    EXPECT_EQ(sigmas_of(from, {.name = "euler", .shift = {}}, 20), sigmas_of(euler, {}, 20));
    EXPECT_EQ(sigmas_of(from, {.name = "dpm++", .shift = {}}, 20), sigmas_of(dpmpp, {}, 20));
  }
}

TEST(MakeScheduler, ASwitchKeepsTrainingStepsAndTerminalSigma) {
  const json half = config_of("unipc_500_train_timesteps");
  EXPECT_EQ(make_scheduler(half, {.name = "euler", .shift = {}})->num_train_timesteps(), 500);
  const json stretched = config_of("unipc_shift_terminal");
  const std::vector<double> sigmas = sigmas_of(stretched, {.name = "euler", .shift = {}}, 20);
  EXPECT_NEAR(sigmas[19], 0.1, 1e-6);
  EXPECT_THAT(error_of(stretched, {.name = "dpm++", .shift = {}}),
              AllOf(HasSubstr("shift_terminal"), HasSubstr("dpm++")));
}

TEST(MakeScheduler, NamingTheDirectorysOwnSchedulerKeepsAllOfItsFields) {
  const SchedulerCase heun("dpmpp_heun");
  const auto scheduler = heun.scheduler({.name = "dpm++", .shift = {}});
  scheduler->set_timesteps(4);
  at::Tensor sample = heun.tensors.get("start");
  for (int i = 0; i < 4; ++i) {
    const double timestep = scheduler->schedule().timesteps[static_cast<size_t>(i)];
    sample = scheduler->step(fixture_velocity(sample, timestep), i, sample);
  }
  EXPECT_LE(relative_error(sample, heun.tensors.get("samples.4")[4]), 1e-5);
}

TEST(MakeScheduler, AnySolverOfAnotherFlowClassCanBeReplacedByName) {
  const json heun = {{"_class_name", "FlowMatchHeunDiscreteScheduler"}, {"shift", 5.0}};
  EXPECT_THAT(error_of(heun), AllOf(HasSubstr("FlowMatchHeunDiscreteScheduler"),
                                    HasSubstr("UniPCMultistepScheduler")));
  EXPECT_EQ(sigmas_of(heun, {.name = "euler", .shift = {}}, 20),
            sigmas_of(config_of("euler_shift5"), {}, 20));
}

TEST(MakeScheduler, NamesAnUnknownField) {
  for (const char* name : {"unipc_shift5", "euler_shift5", "dpmpp_order2"}) {
    EXPECT_THAT(error_of(with(config_of(name), "entropy_gate", 0.5)),
                AllOf(HasSubstr("scheduler_config.json"), HasSubstr("\"entropy_gate\" = 0.5")));
  }
}

TEST(MakeScheduler, RefusesAClassicDiffusionScheduleAndSaysTheMend) {
  for (const char* name : {"unipc_shift5", "dpmpp_order2"}) {
    for (const auto& [field, value] :
         {std::pair<const char*, json>{"use_flow_sigmas", false}, {"prediction_type", "epsilon"}}) {
      EXPECT_THAT(error_of(with(config_of(name), field, value)),
                  AllOf(HasSubstr("use_flow_sigmas"), HasSubstr("flow_prediction"),
                        HasSubstr("set them to")));
    }
  }
  EXPECT_THAT(error_of(with(config_of("unipc_shift5"), "use_flow_sigmas", false),
                       {.name = "euler", .shift = {}}),
              HasSubstr("use_flow_sigmas"));
}

TEST(MakeScheduler, RefusesEachValueItDoesNotImplementByFieldAndValue) {
  const struct {
    const char* name;
    const char* field;
    json value;
  } cases[] = {
      {"unipc_shift5", "solver_order", 4},
      {"unipc_shift5", "solver_order", 0},
      {"unipc_shift5", "solver_type", "bh3"},
      {"unipc_shift5", "predict_x0", false},
      {"unipc_shift5", "thresholding", true},
      {"unipc_shift5", "use_dynamic_shifting", true},
      {"unipc_shift5", "use_exponential_sigmas", true},
      {"unipc_shift5", "use_beta_sigmas", true},
      {"unipc_shift5", "final_sigmas_type", "one"},
      {"unipc_shift5", "solver_p", {{"_class_name", "DPMSolverMultistepScheduler"}}},
      {"unipc_shift5", "num_train_timesteps", 0},
      {"unipc_shift5", "flow_shift", 0},
      {"unipc_shift5", "flow_shift", -1.0},
      {"unipc_shift5", "shift_terminal", 1.0},
      {"unipc_shift5", "disable_corrector", {"first"}},
      {"unipc_karras", "beta_schedule", "sigmoid"},
      {"unipc_karras", "rescale_betas_zero_snr", true},
      {"unipc_karras", "trained_betas", {1.5, 0.5}},
      {"unipc_karras", "sigma_min", -1.0},
      {"unipc_karras", "sigma_min", 0.0},
      {"unipc_karras", "sigma_max", 1e-9},
      {"euler_shift5", "use_dynamic_shifting", true},
      {"euler_shift5", "stochastic_sampling", true},
      {"euler_shift5", "use_beta_sigmas", true},
      {"euler_karras", "use_exponential_sigmas", true},
      {"dpmpp_order2", "algorithm_type", "sde-dpmsolver++"},
      {"dpmpp_order2", "algorithm_type", "dpmsolver"},
      {"dpmpp_order2", "use_karras_sigmas", true},
      {"dpmpp_order2", "use_lu_lambdas", true},
      {"dpmpp_order2", "solver_type", "ralston"},
      {"dpmpp_order2", "flow_shift", "five"},
  };
  for (const auto& each : cases) {
    const std::string message = error_of(with(config_of(each.name), each.field, each.value));
    const bool betas = std::string(each.field) == "trained_betas";
    EXPECT_THAT(message, HasSubstr(betas ? "betas" : each.field));
  }
}

TEST(MakeScheduler, AnUnknownNameOrAnImpossibleShiftIsAUsageError) {
  const json config = config_of("unipc_shift5");
  EXPECT_THAT(error_of(config, {.name = "ddim", .shift = {}}, ErrorKind::Usage),
              AllOf(HasSubstr("'ddim'"), HasSubstr("unipc, euler, dpm++")));
  for (const double shift : {0.0, -1.0, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
    error_of(config, {.name = {}, .shift = shift}, ErrorKind::Usage);
  }
}

TEST(MakeScheduler, AConfigWithoutAClassIsRefused) {
  EXPECT_THAT(error_of({{"shift", 3.0}}), HasSubstr("_class_name"));
  EXPECT_THAT(error_of(json::array()), HasSubstr("JSON object"));
}

TEST(SetTimesteps, RefusesNumbersOutsideTheTrainingSteps) {
  const auto scheduler = make_scheduler(config_of("unipc_500_train_timesteps"), {});
  for (const int steps : {-1, 0, 501}) {
    try {
      scheduler->set_timesteps(steps);
      ADD_FAILURE() << steps;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Usage);
      EXPECT_THAT(error.what(), HasSubstr("between 1 and 500"));
    }
  }
  EXPECT_NO_THROW(scheduler->set_timesteps(500));
}

TEST(SetTimesteps, EveryScheduleFallsToItsEnd) {
  for (const std::string& name : scheduler_case_names()) {
    if (name == "euler_inverted" || name == "dpmpp_final_sigma_min") continue;
    for (const int steps : {1, 2, 3, 7, 50, 333}) {
      const std::vector<double> sigmas = sigmas_of(config_of(name), {}, steps);
      EXPECT_LE(sigmas.front(), 1.0) << name;
      EXPECT_GE(sigmas.back(), 0.0) << name;
      for (size_t i = 1; i < sigmas.size(); ++i) {
        EXPECT_LE(sigmas[i], sigmas[i - 1]) << name << " " << steps << " " << i;
      }
    }
  }
}

// Where the model's velocity is that of one clean sample, any solver must land on it.
TEST(Step, EverySolverReachesTheCleanSampleOfAConstantPrediction) {
  for (const std::string& name : scheduler_case_names()) {
    const SchedulerCase example(name);
    const auto scheduler = example.scheduler();
    const at::Tensor clean = example.tensors.get("clean");
    for (const int steps : {1, 2, 3, 20}) {
      scheduler->set_timesteps(steps);
      const std::vector<double>& sigmas = scheduler->schedule().sigmas;
      if (sigmas.back() != 0) continue;
      at::Tensor sample = scheduler->add_noise(clean, example.tensors.get("start"), 0);
      for (int i = 0; i < steps; ++i) {
        sample = scheduler->step((sample - clean) / sigmas[static_cast<size_t>(i)], i, sample);
      }
      EXPECT_LE(relative_error(sample, clean), 1e-5) << name << " " << steps;
    }
  }
}

// At a level that lies well between two of the schedule, or below all of them, the loop begins
// there.
TEST(StartBelow, BeginsAtTheLevelWhereTheNextOneIsFarBelow) {
  for (const std::string& name : scheduler_case_names()) {
    const SchedulerCase example(name);
    const auto scheduler = example.scheduler();
    const at::Tensor clean = example.tensors.get("clean");
    for (const double level : {0.9, 0.5, 0.03}) {
      scheduler->set_timesteps(3);
      const std::vector<double>& sigmas = scheduler->schedule().sigmas;
      if (sigmas.back() != 0 || level > sigmas.front()) continue;
      const int first = scheduler->start_below(level);
      ASSERT_LT(first, 3) << name << " " << level;
      const auto index = static_cast<size_t>(first);
      EXPECT_LE(sigmas[index], level + 1e-6) << name;
      EXPECT_GE(sigmas[index], 0.8 * level) << name;
      at::Tensor sample = scheduler->add_noise(clean, example.tensors.get("start"), first);
      for (int i = first; i < 3; ++i) {
        sample = scheduler->step((sample - clean) / sigmas[static_cast<size_t>(i)], i, sample);
      }
      EXPECT_LE(relative_error(sample, clean), 1e-5) << name << " " << level;
    }
  }
}

TEST(StartBelow, TakesTheSchedulesOwnLevelWhereOneIsNear) {
  const auto scheduler = make_scheduler(config_of("euler_shift3"), {});
  scheduler->set_timesteps(20);
  const std::vector<double> own = scheduler->schedule().sigmas;
  const int first = scheduler->start_below(0.85);
  EXPECT_EQ(scheduler->schedule().sigmas, own);
  EXPECT_LE(own[static_cast<size_t>(first)], 0.85);
  EXPECT_GT(own[static_cast<size_t>(first - 1)], 0.85);
  EXPECT_EQ(scheduler->start_below(0), 20);
}

TEST(Step, StaysFiniteWhereTheReferenceDividesByZero) {
  for (const char* name : {"unipc_bh1_order3", "unipc_no_lower_order_final"}) {
    const SchedulerCase example(name);
    ASSERT_FALSE(example.description["not_finite_from"].empty());
    const auto scheduler = example.scheduler();
    scheduler->set_timesteps(20);
    at::Tensor sample = example.tensors.get("start");
    for (int i = 0; i < 20; ++i) {
      const double timestep = scheduler->schedule().timesteps[static_cast<size_t>(i)];
      sample = scheduler->step(fixture_velocity(sample, timestep), i, sample);
    }
    EXPECT_TRUE(sample.isfinite().all().item<bool>()) << name;
  }
}

TEST(Step, IsTheSameAgainAfterSetTimesteps) {
  for (const char* name : {"unipc_bh2_order3", "dpmpp_order3", "euler_shift5"}) {
    const SchedulerCase example(name);
    const auto scheduler = example.scheduler();
    at::Tensor ends[2];
    for (at::Tensor& end : ends) {
      scheduler->set_timesteps(4);
      end = example.tensors.get("start");
      for (int i = 0; i < 4; ++i) end = scheduler->step(fixture_velocity(end, 10.0), i, end);
    }
    EXPECT_TRUE(at::equal(ends[0], ends[1])) << name;
  }
}

TEST(Step, LeavesItsInputsAlone) {
  const SchedulerCase example("unipc_shift5");
  const auto scheduler = example.scheduler();
  scheduler->set_timesteps(4);
  const at::Tensor sample = example.tensors.get("start").clone();
  const at::Tensor velocity = fixture_velocity(sample, 999);
  const at::Tensor velocity_before = velocity.clone();
  scheduler->step(velocity, 0, sample);
  EXPECT_TRUE(at::equal(sample, example.tensors.get("start")));
  EXPECT_TRUE(at::equal(velocity, velocity_before));
}

TEST(Step, IsTakenInOrderAndOnce) {
  const auto scheduler = make_scheduler(config_of("unipc_shift5"), {});
  const at::Tensor sample = at::zeros({1, 2, 3});
  EXPECT_THROW(scheduler->step(sample, 0, sample), Error);  // no schedule yet
  scheduler->set_timesteps(4);
  EXPECT_THROW(scheduler->step(sample, 1, sample), Error);
  scheduler->step(sample, 0, sample);
  EXPECT_THROW(scheduler->step(sample, 0, sample), Error);
  EXPECT_THROW(scheduler->step(at::zeros({1, 2, 4}), 1, sample), Error);
  EXPECT_THROW(scheduler->start_at(4), Error);
  EXPECT_THROW(scheduler->start_at(-1), Error);
  scheduler->start_at(3);
  scheduler->step(sample, 3, sample);
  EXPECT_THROW(scheduler->step(sample, 4, sample), Error);
}

}  // namespace
}  // namespace sora
