#include "lib/schedulers/scheduler.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"
#include "lib/core/scheduler_names.h"
#include "lib/schedulers/flow_dpmpp.h"
#include "lib/schedulers/flow_euler.h"
#include "lib/schedulers/flow_unipc.h"

namespace sora {
namespace {

using nlohmann::json;

struct SchedulerRow {
  const char* name;
  const char* class_name;
  const char* shift_field;
  bool has_shift_terminal;
  std::unique_ptr<Scheduler> (*make)(const ConfigReader& config);
};

constexpr SchedulerRow kSchedulers[] = {
    {kUniPc, "UniPCMultistepScheduler", "flow_shift", true, make_flow_unipc},
    {kEuler, "FlowMatchEulerDiscreteScheduler", "shift", true, make_flow_euler},
    {kDpmpp, "DPMSolverMultistepScheduler", "flow_shift", false, make_flow_dpmpp},
};

std::string class_names() {
  std::string names;
  for (const SchedulerRow& row : kSchedulers) {
    if (!names.empty()) names += ", ";
    names += row.class_name;
  }
  return names;
}

const SchedulerRow* find_row(const char* SchedulerRow::*field, const std::string& value) {
  for (const SchedulerRow& row : kSchedulers) {
    if (row.*field == value) return &row;
  }
  return nullptr;
}

// Only the noise levels are the model's own; how steps are taken between them is the solver's.
json switched(const ConfigReader& config, const SchedulerRow& row) {
  config.require<bool>("use_flow_sigmas", true);
  config.require<bool>("use_dynamic_shifting", false);
  config.require<bool>("invert_sigmas", false);
  json result = {{"_class_name", row.class_name}};
  if (row.make != make_flow_euler) {
    result["use_flow_sigmas"] = true;
    result["prediction_type"] = "flow_prediction";
  }
  result["num_train_timesteps"] = config.get<int64_t>("num_train_timesteps", 1000);
  result[row.shift_field] = config.get<double>("flow_shift", config.get<double>("shift", 1.0));
  if (const auto terminal = config.get_optional<double>("shift_terminal")) {
    if (!row.has_shift_terminal) {
      fail(ErrorKind::Input,
           "{}: field \"shift_terminal\" is {}, which the scheduler '{}' cannot honour; use one of "
           "unipc, euler",
           config.description(), *terminal, row.name);
    }
    result["shift_terminal"] = *terminal;
  }
  return result;
}

}  // namespace

Scheduler::~Scheduler() = default;

void Scheduler::set_timesteps(int num_steps) {
  if (num_steps < 1 || num_steps > num_train_timesteps_) {
    fail(ErrorKind::Usage, "the number of steps is {}; it must be between 1 and {}", num_steps,
         num_train_timesteps_);
  }
  schedule_ = lay_out(num_steps);
  start_at(0);
}

void Scheduler::start_at(int step) {
  if (step < 0 || step >= schedule_.num_steps()) {
    fail(ErrorKind::Internal, "sampling cannot start at step {} of {}", step,
         schedule_.num_steps());
  }
  next_step_ = step;
  forget();
}

int Scheduler::start_below(double level) {
  constexpr double kTolerance = 1e-6;
  constexpr double kNear = 0.8;  // of the level: a whole schedule's own steps are finer
  std::vector<double>& sigmas = schedule_.sigmas;
  size_t step = 0;
  while (step + 1 < sigmas.size() && sigmas[step] > level + kTolerance) ++step;
  const double timestep = level * static_cast<double>(num_train_timesteps_);
  if (step > 0 && sigmas[step] < kNear * level && timestep >= 1) {
    --step;
    sigmas[step] = static_cast<float>(level);
    schedule_.timesteps[step] = static_cast<float>(timestep);
  }
  const int first = static_cast<int>(step);
  if (first < schedule_.num_steps()) start_at(first);
  return first;
}

at::Tensor Scheduler::step(const at::Tensor& velocity, int step, const at::Tensor& sample) {
  if (step != next_step_ || step >= schedule_.num_steps()) {
    fail(ErrorKind::Internal, "step {} of {} was taken, expected step {}", step,
         schedule_.num_steps(), next_step_);
  }
  if (velocity.sizes() != sample.sizes()) {
    fail(ErrorKind::Internal, "the velocity has shape {}, the sample {}",
         fmt::join(velocity.sizes(), "x"), fmt::join(sample.sizes(), "x"));
  }
  at::Tensor next = advance(velocity.to(at::kFloat), step, sample.to(at::kFloat));
  ++next_step_;
  return next;
}

at::Tensor Scheduler::add_noise(const at::Tensor& clean, const at::Tensor& noise, int step) const {
  const float level = static_cast<float>(schedule_.sigmas.at(static_cast<size_t>(step)));
  return (1.0f - level) * clean.to(at::kFloat) + level * noise.to(at::kFloat);
}

std::unique_ptr<Scheduler> make_scheduler(const json& config, const SchedulerOverrides& overrides,
                                          const std::string& description) {
  if (overrides.shift && !(*overrides.shift > 0 && std::isfinite(*overrides.shift))) {
    fail(ErrorKind::Usage, "the shift is {}; it must be a positive number", *overrides.shift);
  }
  const ConfigReader reader(config, description);
  const auto class_name = reader.get<std::string>("_class_name");
  const SchedulerRow* row = find_row(&SchedulerRow::class_name, class_name);
  json chosen = config;
  if (overrides.name && (!row || *overrides.name != row->name)) {
    check_scheduler_name(*overrides.name);
    row = find_row(&SchedulerRow::name, *overrides.name);
    chosen = switched(reader, *row);
  }
  if (!row) {
    fail(ErrorKind::Input, "{}: field \"_class_name\" is \"{}\"; supported are {}", description,
         class_name, class_names());
  }
  if (overrides.shift) chosen[row->shift_field] = *overrides.shift;
  return row->make(ConfigReader(chosen, description));
}

}  // namespace sora
