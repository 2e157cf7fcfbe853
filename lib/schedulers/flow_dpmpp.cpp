#include "lib/schedulers/flow_dpmpp.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "lib/core/error.h"
#include "lib/schedulers/flow_config.h"
#include "lib/schedulers/noise_level.h"

namespace sora {
namespace {

// Below this many steps the last ones are taken at lower order, for stability.
constexpr int kFewSteps = 15;

enum class SecondOrder { Midpoint, Heun };

struct DpmppConfig {
  int64_t num_train_timesteps = 1000;
  double shift = 1.0;
  double final_sigma = 0;
  bool final_sigma_is_zero = true;
  int order = 2;
  SecondOrder second_order = SecondOrder::Midpoint;
  bool lower_order_final = true;
  bool euler_at_final = false;
};

class FlowDpmpp final : public Scheduler {
 public:
  explicit FlowDpmpp(const DpmppConfig& config)
      : Scheduler(config.num_train_timesteps), config_(config) {}

 private:
  Schedule lay_out(int num_steps) const override;
  at::Tensor advance(const at::Tensor& velocity, int step, const at::Tensor& sample) override;
  void forget() override { clean_.clear(); }

  int order_at(int step) const;
  at::Tensor integrate(int step, const at::Tensor& sample, int order) const;

  DpmppConfig config_;
  std::deque<at::Tensor> clean_;  // predictions of the clean sample, newest first
};

Schedule FlowDpmpp::lay_out(int num_steps) const {
  const double num_timesteps = static_cast<double>(config_.num_train_timesteps);
  std::vector<double> sigmas = linspace(1, 1 / num_timesteps, num_steps + 1);
  for (double& sigma : sigmas) sigma = shifted(1 - sigma, config_.shift);
  std::reverse(sigmas.begin(), sigmas.end());
  sigmas.pop_back();
  std::vector<double> timesteps = sigmas;
  for (double& timestep : timesteps) timestep = std::trunc(timestep * num_timesteps);
  sigmas.push_back(config_.final_sigma);
  round_to_f32(sigmas);
  return {std::move(timesteps), std::move(sigmas)};
}

at::Tensor FlowDpmpp::advance(const at::Tensor& velocity, int step, const at::Tensor& sample) {
  clean_.push_front(sample - NoiseLevel(sigma(step)).sigma * velocity);
  if (static_cast<int>(clean_.size()) > config_.order) clean_.pop_back();
  return integrate(step, sample, order_at(step));
}

int FlowDpmpp::order_at(int step) const {
  const int num_steps = schedule().num_steps();
  const bool lower = config_.lower_order_final && num_steps < kFewSteps;
  const bool is_last = step == num_steps - 1;
  if (is_last && (lower || config_.euler_at_final || config_.final_sigma_is_zero)) return 1;
  const int order = static_cast<int>(clean_.size());
  return lower && step == num_steps - 2 ? std::min(order, 2) : order;
}

// The clean prediction as a polynomial in lambda through the last `order` outputs, integrated in
// closed form against e^lambda: slope and curvature are divided differences of the outputs.
at::Tensor FlowDpmpp::integrate(int step, const at::Tensor& sample, int order) const {
  const NoiseLevel start(sigma(step));
  const NoiseLevel end(sigma(step + 1));
  const at::Tensor h = end.lambda - start.lambda;
  const at::Tensor decay = (-h).exp() - 1.0;

  const at::Tensor x = end.sigma / start.sigma * sample - end.alpha * decay * clean_[0];
  if (order == 1) return x;

  const at::Tensor lambda_1 = NoiseLevel(sigma(step - 1)).lambda;
  const at::Tensor r0 = (start.lambda - lambda_1) / h;
  const at::Tensor slope = 1.0 / r0 * (clean_[0] - clean_[1]);
  if (order == 2 && config_.second_order == SecondOrder::Midpoint) {
    return x - 0.5 * (end.alpha * decay) * slope;
  }
  const at::Tensor slope_weight = end.alpha * (decay / h + 1.0);
  if (order == 2) return x + slope_weight * slope;

  const at::Tensor r1 = (lambda_1 - NoiseLevel(sigma(step - 2)).lambda) / h;
  const at::Tensor older_slope = 1.0 / r1 * (clean_[1] - clean_[2]);
  const at::Tensor curvature = 1.0 / (r0 + r1) * (slope - older_slope);
  return x + slope_weight * (slope + r0 / (r0 + r1) * (slope - older_slope)) -
         end.alpha * ((decay + h) / (h * h) - 0.5) * curvature;
}

SecondOrder read_second_order(const ConfigReader& config) {
  const std::string type = config.get<std::string>("solver_type", "midpoint");
  if (type == "heun") return SecondOrder::Heun;
  // The others are what configs of other solver families carry over; they mean the default.
  for (const char* known : {"midpoint", "logrho", "bh1", "bh2"}) {
    if (type == known) return SecondOrder::Midpoint;
  }
  fail(ErrorKind::Input, "{}: field \"solver_type\" is \"{}\"; supported are midpoint, heun",
       config.description(), type);
}

void require_dpmpp(const ConfigReader& config) {
  const std::string type = config.get<std::string>("algorithm_type", "dpmsolver++");
  if (type != "dpmsolver++" && type != "deis") {  // diffusers runs deis as dpmsolver++
    fail(ErrorKind::Input,
         "{}: field \"algorithm_type\" is \"{}\"; only dpmsolver++ is supported, the stochastic "
         "and noise-predicting forms are not",
         config.description(), type);
  }
}

}  // namespace

std::unique_ptr<Scheduler> make_flow_dpmpp(const ConfigReader& reader) {
  reader.expect_class("DPMSolverMultistepScheduler");
  require_flow(reader);
  refuse_dynamic_shifting(reader);
  require_dpmpp(reader);
  reader.require<bool>("use_karras_sigmas", false);
  reader.require<bool>("use_lu_lambdas", false);

  DpmppConfig config;
  config.num_train_timesteps = read_num_train_timesteps(reader);
  config.shift = read_shift(reader, "flow_shift");
  config.order = static_cast<int>(read_solver_order(reader));
  config.second_order = read_second_order(reader);
  config.lower_order_final = reader.get<bool>("lower_order_final", true);
  config.euler_at_final = reader.get<bool>("euler_at_final", false);
  config.final_sigma_is_zero = read_final_sigma_is_zero(reader);
  if (config.final_sigma_is_zero) {
    ignore_betas(reader);
  } else {
    config.final_sigma = read_beta_sigma_range(reader, config.num_train_timesteps).min;
  }
  // The lower clip of lambda moves integer timesteps that flow levels replace; the variance type
  // belongs to models that predict noise.
  reader.ignore({"lambda_min_clipped", "variance_type"});
  reader.check_all_read();
  return std::make_unique<FlowDpmpp>(config);
}

}  // namespace sora
