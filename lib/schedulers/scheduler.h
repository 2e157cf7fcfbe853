// Samplers for flow-matching models: where the noise levels lie and how one step is taken between
// two of them. Each is equal to the diffusers class of its row in scheduler.cpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/schedulers/schedule.h"

namespace sora {

// One run of sampling. Stateful: multistep solvers remember what the model said before.
class Scheduler {
 public:
  virtual ~Scheduler();

  // Lays out the schedule of 1 to num_train_timesteps() steps and forgets any history.
  // Throws Error(Usage) for another number.
  void set_timesteps(int num_steps);
  const Schedule& schedule() const { return schedule_; }
  int64_t num_train_timesteps() const { return num_train_timesteps_; }

  // `velocity` is the model's output for `sample` at schedule().timesteps[step], both of the same
  // shape. Returns the sample at sigmas[step + 1] in f32. Steps are taken in order, each once.
  //
  // All arithmetic is f32: a bf16 velocity is widened first. The reference multiplies it in bf16,
  // and its Euler step even returns bf16; widening lies closer to the reference's own f32 run.
  at::Tensor step(const at::Tensor& velocity, int step, const at::Tensor& sample);

  // Begins at a later step with an empty history, for a sample made by add_noise(..., step).
  void start_at(int step);

  // The same at the first step whose level is at most `level`, which is returned; as many as there
  // are steps where none is. Where that is far below, the step that passes `level` begins at it.
  int start_below(double level);

  // (1 - sigma) * clean + sigma * noise at sigmas[step], in f32.
  at::Tensor add_noise(const at::Tensor& clean, const at::Tensor& noise, int step) const;

 protected:
  explicit Scheduler(int64_t num_train_timesteps) : num_train_timesteps_(num_train_timesteps) {}

  virtual Schedule lay_out(int num_steps) const = 0;
  virtual at::Tensor advance(const at::Tensor& velocity, int step, const at::Tensor& sample) = 0;
  virtual void forget() {}

  double sigma(int index) const { return schedule_.sigmas[static_cast<size_t>(index)]; }

 private:
  int64_t num_train_timesteps_;
  Schedule schedule_;
  int next_step_ = 0;
};

// What a user may ask for in place of what the model's directory says.
struct SchedulerOverrides {
  std::optional<std::string> name;  // one of scheduler_names()
  std::optional<double> shift;
};

// `config` is a diffusers scheduler_config.json; `description` names it in messages. A scheduler
// asked for by name that is not the directory's own keeps the directory's noise levels (shift,
// shift_terminal, num_train_timesteps) and has its own defaults otherwise. Throws Error(Usage) for
// an unknown name or a shift that is not positive, Error(Input) for a config that is not a flow
// schedule, has an unknown field or a value outside what is implemented.
std::unique_ptr<Scheduler> make_scheduler(const nlohmann::json& config,
                                          const SchedulerOverrides& overrides,
                                          const std::string& description = "scheduler_config.json");

}  // namespace sora
