#include "lib/schedulers/flow_unipc.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <set>

#include "lib/core/error.h"
#include "lib/schedulers/flow_config.h"
#include "lib/schedulers/noise_level.h"

namespace sora {
namespace {

enum class StepSize { Bh1, Bh2 };  // B(h) = h or e^h - 1

struct UniPcConfig {
  int64_t num_train_timesteps = 1000;
  double shift = 1.0;
  double shift_terminal = 0;         // 0: none
  std::optional<SigmaRange> karras;  // noise-to-signal ratios to place Karras levels between
  bool final_sigma_is_zero = true;
  int order = 2;
  StepSize step_size = StepSize::Bh2;
  bool lower_order_final = true;
  std::set<int64_t> steps_not_corrected;
};

class FlowUniPc final : public Scheduler {
 public:
  explicit FlowUniPc(UniPcConfig config)
      : Scheduler(config.num_train_timesteps), config_(std::move(config)) {}

 private:
  Schedule lay_out(int num_steps) const override;
  at::Tensor advance(const at::Tensor& velocity, int step, const at::Tensor& sample) override;
  void forget() override {
    clean_.clear();
    last_sample_ = at::Tensor();
  }

  int predictor_order(int step) const;
  at::Tensor integrate(int from, const at::Tensor& sample, int order,
                       const at::Tensor& clean_at_end) const;

  UniPcConfig config_;
  std::deque<at::Tensor> clean_;  // predictions of the clean sample, newest first
  at::Tensor last_sample_;        // where the last step began, corrected
  int last_order_ = 0;
};

Schedule FlowUniPc::lay_out(int num_steps) const {
  const double num_timesteps = static_cast<double>(config_.num_train_timesteps);
  std::vector<double> sigmas;
  if (config_.karras) {
    sigmas = karras_sigmas(config_.karras->max, config_.karras->min, num_steps);
    for (double& ratio : sigmas) ratio = ratio / (ratio + 1);
  } else {
    sigmas = linspace(1, 1 / num_timesteps, num_steps + 1);
    sigmas.pop_back();
    for (double& sigma : sigmas) sigma = shifted(sigma, config_.shift);
    if (config_.shift_terminal != 0) stretch_to_terminal(sigmas, config_.shift_terminal);
    // log(alpha) would be infinite at sigma 1.
    constexpr double kBelowOne = 1e-6;
    if (std::abs(sigmas.front() - 1) < kBelowOne) sigmas.front() -= kBelowOne;
  }
  std::vector<double> timesteps = sigmas;
  for (double& timestep : timesteps) timestep = std::trunc(timestep * num_timesteps);
  sigmas.push_back(config_.final_sigma_is_zero ? 0.0 : sigmas.back());
  round_to_f32(sigmas);
  return {std::move(timesteps), std::move(sigmas)};
}

at::Tensor FlowUniPc::advance(const at::Tensor& velocity, int step, const at::Tensor& sample) {
  const at::Tensor clean = sample - NoiseLevel(sigma(step)).sigma * velocity;
  at::Tensor start = sample;
  if (last_sample_.defined() && !config_.steps_not_corrected.contains(step - 1)) {
    start = integrate(step - 1, last_sample_, last_order_, clean);
  }
  clean_.push_front(clean);
  if (static_cast<int>(clean_.size()) > config_.order) clean_.pop_back();

  last_sample_ = start;
  last_order_ = predictor_order(step);
  return integrate(step, start, last_order_, {});
}

int FlowUniPc::predictor_order(int step) const {
  const int order = std::min(config_.order, static_cast<int>(clean_.size()));
  const int steps_left = schedule().num_steps() - step;
  const bool no_interval = sigma(step + 1) == 0 || sigma(step + 1) == sigma(step);
  if (no_interval) return 1;
  return config_.lower_order_final ? std::min(order, steps_left) : order;
}

// Note [UniPC weights]
// From sigma_s to sigma_t with h = lambda_t - lambda_s, clean predictions m_0 (at s), m_1, ...
// (before s, at lambda_i), and, for the corrector, m_t (at t):
//   x_t = sigma_t / sigma_s * x_s - alpha_t (e^-h - 1) m_0 - alpha_t B(h) sum_i rho_i (m_i - m_0) /
//   r_i r_i = (lambda_i - lambda_s) / h, and r_t = 1
// rho solves the Vandermonde system sum_i r_i^(k-1) rho_i = b_k = k! phi_(k+1)(-h) / B(h), where
// phi_1(z) = (e^z - 1) / z and phi_(k+1)(z) = (phi_k(z) - 1/k!) / z, here times z. With a single
// unknown the paper takes rho = 1/2. The predictor drops the last row and column.
at::Tensor FlowUniPc::integrate(int from, const at::Tensor& sample, int order,
                                const at::Tensor& clean_at_end) const {
  const NoiseLevel start(sigma(from));
  const NoiseLevel end(sigma(from + 1));
  const at::Tensor h = end.lambda - start.lambda;
  const at::Tensor z = -h;
  const at::Tensor z_phi_1 = z.expm1();

  std::vector<at::Tensor> ratios;     // r_i
  std::vector<at::Tensor> residuals;  // (m_i - m_0) / r_i
  for (int i = 1; i < order; ++i) {
    ratios.push_back((NoiseLevel(sigma(from - i)).lambda - start.lambda) / h);
    residuals.push_back((clean_[static_cast<size_t>(i)] - clean_[0]) / ratios.back());
  }
  if (clean_at_end.defined()) {
    ratios.push_back(at::ones({}, at::kFloat));
    residuals.push_back(clean_at_end - clean_[0]);
  }

  at::Tensor x = end.sigma / start.sigma * sample - end.alpha * z_phi_1 * clean_[0];
  if (residuals.empty()) return x;

  const at::Tensor step_size = config_.step_size == StepSize::Bh1 ? z : z_phi_1;
  const int64_t unknowns = static_cast<int64_t>(ratios.size());
  at::Tensor rho = at::full({1}, 0.5, at::kFloat);
  if (unknowns > 1) {
    const at::Tensor r = at::stack(ratios);
    std::vector<at::Tensor> rows;
    std::vector<at::Tensor> right;
    at::Tensor phi = z_phi_1 / z - 1;
    double factorial = 1;
    for (int k = 1; k <= unknowns; ++k) {
      rows.push_back(r.pow(k - 1));
      right.push_back(phi * factorial / step_size);
      factorial *= k + 1;
      phi = phi / z - 1 / factorial;
    }
    rho = at::linalg_solve(at::stack(rows), at::stack(right));
  }
  at::Tensor sum = rho[0] * residuals[0];
  for (int64_t i = 1; i < unknowns; ++i) sum = sum + rho[i] * residuals[static_cast<size_t>(i)];
  return x - end.alpha * step_size * sum;
}

StepSize read_step_size(const ConfigReader& config) {
  const std::string type = config.get<std::string>("solver_type", "bh2");
  if (type == "bh1") return StepSize::Bh1;
  // The others are what configs of the DPM-Solver family carry over; they mean the default.
  for (const char* known : {"bh2", "midpoint", "heun", "logrho"}) {
    if (type == known) return StepSize::Bh2;
  }
  fail(ErrorKind::Input, "{}: field \"solver_type\" is \"{}\"; supported are bh1, bh2",
       config.description(), type);
}

}  // namespace

std::unique_ptr<Scheduler> make_flow_unipc(const ConfigReader& reader) {
  reader.expect_class("UniPCMultistepScheduler");
  require_flow(reader);
  refuse_dynamic_shifting(reader);
  reader.require<bool>("predict_x0", true);

  UniPcConfig config;
  config.num_train_timesteps = read_num_train_timesteps(reader);
  config.shift = read_shift(reader, "flow_shift");
  config.shift_terminal = read_shift_terminal(reader);
  config.final_sigma_is_zero = read_final_sigma_is_zero(reader);
  config.order = static_cast<int>(read_solver_order(reader));
  config.step_size = read_step_size(reader);
  config.lower_order_final = reader.get<bool>("lower_order_final", true);
  const auto not_corrected = reader.get<std::vector<int64_t>>("disable_corrector", {});
  config.steps_not_corrected.insert(not_corrected.begin(), not_corrected.end());

  if (reader.get<bool>("use_karras_sigmas", false)) {
    SigmaRange range = read_beta_sigma_range(reader, config.num_train_timesteps);
    range.min = reader.get<double>("sigma_min", range.min);
    range.max = reader.get<double>("sigma_max", range.max);
    if (!(range.min > 0 && std::isfinite(range.max) && range.max >= range.min)) {
      fail(ErrorKind::Input,
           "{}: sigma_min and sigma_max are {} and {}; they have to be positive, the smaller first",
           reader.description(), range.min, range.max);
    }
    config.karras = range;
  } else {
    ignore_betas(reader);
    reader.ignore({"sigma_min", "sigma_max"});
  }
  if (reader.has("solver_p")) {
    fail(ErrorKind::Input,
         "{}: field \"solver_p\" names another scheduler as the predictor; only "
         "null is supported",
         reader.description());
  }
  reader.ignore({"solver_p"});
  reader.check_all_read();
  return std::make_unique<FlowUniPc>(std::move(config));
}

}  // namespace sora
