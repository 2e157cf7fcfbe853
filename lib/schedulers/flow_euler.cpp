#include "lib/schedulers/flow_euler.h"

#include <ATen/ATen.h>

#include <cmath>

#include "lib/core/error.h"
#include "lib/schedulers/flow_config.h"

namespace sora {
namespace {

struct EulerConfig {
  int64_t num_train_timesteps = 1000;
  double shift = 1.0;
  double shift_terminal = 0;  // 0: none
  bool invert_sigmas = false;
  bool karras = false;
  bool exponential = false;
  std::vector<double> sigmas;  // before the shift, of a model distilled for these steps; empty: any
};

class FlowEuler final : public Scheduler {
 public:
  explicit FlowEuler(const EulerConfig& config)
      : Scheduler(config.num_train_timesteps), config_(config) {}

 private:
  Schedule lay_out(int num_steps) const override {
    const double last = static_cast<double>(config_.num_train_timesteps);
    const double highest = trained_sigma(1.0f);
    const double lowest = trained_sigma(1.0f / static_cast<float>(config_.num_train_timesteps));
    std::vector<double> sigmas = linspace(highest * last, lowest * last, num_steps);
    for (double& sigma : sigmas) sigma /= last;
    if (!config_.sigmas.empty()) sigmas = distilled_sigmas(num_steps);
    for (double& sigma : sigmas) sigma = shifted(sigma, config_.shift);
    if (config_.shift_terminal != 0) stretch_to_terminal(sigmas, config_.shift_terminal);
    if (config_.karras) sigmas = karras_sigmas(sigmas.front(), sigmas.back(), num_steps);
    if (config_.exponential) sigmas = exponential_sigmas(sigmas.front(), sigmas.back(), num_steps);

    round_to_f32(sigmas);
    if (config_.invert_sigmas) {
      for (double& sigma : sigmas) sigma = 1.0f - static_cast<float>(sigma);
    }
    std::vector<double> timesteps = sigmas;
    for (double& timestep : timesteps) timestep *= last;
    round_to_f32(timesteps);
    sigmas.push_back(config_.invert_sigmas ? 1.0 : 0.0);
    return {std::move(timesteps), std::move(sigmas)};
  }

  // What the reference's set_timesteps(sigmas=...) is given. For another number of steps than the
  // model was distilled for, evenly spaced ones that end a step above zero.
  std::vector<double> distilled_sigmas(int num_steps) const {
    if (config_.sigmas.size() == static_cast<size_t>(num_steps)) return config_.sigmas;
    return linspace(1, 1.0 / num_steps, num_steps);
  }

  // The ends of the training schedule are already shifted, in f32, and lay_out shifts once more: so
  // does the reference.
  double trained_sigma(float sigma) const {
    return static_cast<float>(config_.shift) * sigma /
           (1.0f + static_cast<float>(config_.shift - 1) * sigma);
  }

  at::Tensor advance(const at::Tensor& velocity, int step, const at::Tensor& sample) override {
    const float dt = static_cast<float>(sigma(step + 1)) - static_cast<float>(sigma(step));
    return sample + dt * velocity;
  }

  EulerConfig config_;
};

}  // namespace

std::unique_ptr<Scheduler> make_flow_euler(const ConfigReader& reader) {
  reader.expect_class("FlowMatchEulerDiscreteScheduler");
  EulerConfig config;
  config.num_train_timesteps = read_num_train_timesteps(reader);
  config.shift = read_shift(reader, "shift");
  config.shift_terminal = read_shift_terminal(reader);
  config.invert_sigmas = reader.get<bool>("invert_sigmas", false);
  config.karras = reader.get<bool>("use_karras_sigmas", false);
  config.exponential = reader.get<bool>("use_exponential_sigmas", false);
  if (config.karras && config.exponential) {
    fail(ErrorKind::Input,
         "{}: both use_karras_sigmas and use_exponential_sigmas are true; only "
         "one of them can place the noise levels",
         reader.description());
  }
  config.sigmas = reader.get<std::vector<double>>("sigmas", {});
  double last = std::nextafter(1.0, 2.0);
  for (const double sigma : config.sigmas) {
    if (!(sigma > 0 && sigma < last)) {
      fail(ErrorKind::Input, "{}: field \"sigmas\" does not fall from 1 or less towards 0",
           reader.description());
    }
    last = sigma;
  }
  refuse_dynamic_shifting(reader);
  reader.require<bool>("use_beta_sigmas", false);
  reader.require<bool>("stochastic_sampling", false);
  reader.check_all_read();
  return std::make_unique<FlowEuler>(config);
}

}  // namespace sora
