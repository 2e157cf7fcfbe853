#include "lib/schedulers/flow_config.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "lib/core/error.h"

namespace sora {
namespace {

// Betas that keep the signal's share at cos^2 of the time (Nichol and Dhariwal 2021, eq. 17).
at::Tensor cosine_betas(int64_t count) {
  constexpr double kOffset = 0.008;
  constexpr double kMaxBeta = 0.999;
  const auto signal = [](double time) {
    return std::pow(std::cos((time + kOffset) / (1 + kOffset) * std::numbers::pi / 2), 2);
  };
  at::Tensor betas = at::empty({count}, at::kFloat);
  const double length = static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) {
    const double start = static_cast<double>(i) / length;
    const double stop = static_cast<double>(i + 1) / length;
    betas.data_ptr<float>()[i] =
        static_cast<float>(std::min(1 - signal(stop) / signal(start), kMaxBeta));
  }
  return betas;
}

at::Tensor read_betas(const ConfigReader& config, int64_t count) {
  const double start = config.get<double>("beta_start", 0.0001);
  const double end = config.get<double>("beta_end", 0.02);
  const std::string kind = config.get<std::string>("beta_schedule", "linear");
  if (const auto trained = config.get_optional<std::vector<double>>("trained_betas")) {
    if (trained->empty()) {
      fail(ErrorKind::Input, "{}: field \"trained_betas\" is an empty list", config.description());
    }
    return at::tensor(*trained, at::kFloat);
  }
  if (kind == "linear") return at::linspace(start, end, count, at::kFloat);
  if (kind == "scaled_linear") {
    return at::linspace(std::sqrt(start), std::sqrt(end), count, at::kFloat).square();
  }
  if (kind == "squaredcos_cap_v2") return cosine_betas(count);
  fail(ErrorKind::Input,
       "{}: field \"beta_schedule\" is \"{}\"; supported are linear, scaled_linear, "
       "squaredcos_cap_v2",
       config.description(), kind);
}

}  // namespace

int64_t read_num_train_timesteps(const ConfigReader& config) {
  const auto count = config.get<int64_t>("num_train_timesteps", 1000);
  if (count < 1 || count > 1'000'000) {
    fail(ErrorKind::Input,
         "{}: field \"num_train_timesteps\" is {}; it must be between 1 and 1000000",
         config.description(), count);
  }
  return count;
}

double read_shift(const ConfigReader& config, const char* field) {
  const auto shift = config.get<double>(field, 1.0);
  if (!(shift > 0 && std::isfinite(shift))) {
    fail(ErrorKind::Input, "{}: field \"{}\" is {}; it must be a positive number",
         config.description(), field, shift);
  }
  return shift;
}

double read_shift_terminal(const ConfigReader& config) {
  const auto terminal = config.get<double>("shift_terminal", 0.0);
  if (!(terminal >= 0 && terminal < 1)) {
    fail(ErrorKind::Input, "{}: field \"shift_terminal\" is {}; it must be at least 0 and below 1",
         config.description(), terminal);
  }
  return terminal;
}

int64_t read_solver_order(const ConfigReader& config) {
  const auto order = config.get<int64_t>("solver_order", 2);
  if (order < 1 || order > 3) {
    fail(ErrorKind::Input, "{}: field \"solver_order\" is {}; supported are 1, 2 and 3",
         config.description(), order);
  }
  return order;
}

bool read_final_sigma_is_zero(const ConfigReader& config) {
  const std::string type = config.get<std::string>("final_sigmas_type", "zero");
  if (type != "zero" && type != "sigma_min") {
    fail(ErrorKind::Input,
         "{}: field \"final_sigmas_type\" is \"{}\"; supported are zero, sigma_min",
         config.description(), type);
  }
  return type == "zero";
}

void refuse_dynamic_shifting(const ConfigReader& config) {
  config.require<bool>("use_dynamic_shifting", false);
  config.ignore(
      {"time_shift_type", "base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len"});
}

void require_flow(const ConfigReader& config) {
  const bool flow = config.get<bool>("use_flow_sigmas", false);
  const std::string prediction = config.get<std::string>("prediction_type", "epsilon");
  if (!flow || prediction != "flow_prediction") {
    fail(ErrorKind::Input,
         "{}: has use_flow_sigmas {} and prediction_type \"{}\", which is no flow schedule; if the "
         "model is a flow-matching one, as Wan is, set them to true and \"flow_prediction\"",
         config.description(), flow, prediction);
  }
  config.require<bool>("use_exponential_sigmas", false);
  config.require<bool>("use_beta_sigmas", false);
  config.require<bool>("thresholding", false);
  // These place the integer timesteps that flow levels replace, or belong to thresholding.
  config.ignore(
      {"timestep_spacing", "steps_offset", "dynamic_thresholding_ratio", "sample_max_value"});
}

SigmaRange read_beta_sigma_range(const ConfigReader& config, int64_t num_train_timesteps) {
  config.require<bool>("rescale_betas_zero_snr", false);
  const at::Tensor signal = (1.0 - read_betas(config, num_train_timesteps)).cumprod(0);
  const at::Tensor sigmas = ((1 - signal) / signal).sqrt();
  const SigmaRange range = {sigmas[0].item<double>(), sigmas[-1].item<double>()};
  if (!(range.min > 0 && std::isfinite(range.max) && range.max >= range.min)) {
    fail(ErrorKind::Input,
         "{}: the beta fields give noise levels from {} to {}; betas must lie "
         "between 0 and 1",
         config.description(), range.min, range.max);
  }
  return range;
}

void ignore_betas(const ConfigReader& config) {
  config.ignore(
      {"beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr"});
}

}  // namespace sora
