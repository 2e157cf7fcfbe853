#include "lib/pipelines/step_cache.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace sora {
namespace {

constexpr int kFewestFirst = 3;
constexpr int kFirstOf = 5;  // a fifth of the steps

double size_of(const at::Tensor& x) { return x.abs().mean().item<double>(); }

}  // namespace

bool StepCache::may_reuse(const at::Tensor& latents_1CFHW, const NoiseStep& step) {
  const int first = std::max(kFewestFirst, settings_.num_steps / kFirstOf);
  const bool is_last = num_seen_ + 1 >= settings_.num_steps;
  const bool changes_expert = settings_.boundary_timestep && num_seen_ > 0 &&
                              timestep_ >= *settings_.boundary_timestep &&
                              step.timestep < *settings_.boundary_timestep;
  if (changes_expert) rate_.reset();
  if (num_seen_ < first || is_last || !rate_ || settings_.threshold <= 0) return false;
  expected_change_ += *rate_ * size_of(latents_1CFHW - latents_) / size_of(velocity_);
  return expected_change_ < settings_.threshold;
}

at::Tensor StepCache::velocity(const at::Tensor& latents_1CFHW, const NoiseStep& step) {
  at::Tensor velocity = velocity_;
  if (may_reuse(latents_1CFHW, step)) {
    ++num_reused_;
  } else {
    velocity = inner_.velocity(latents_1CFHW, step);
    expected_change_ = 0;
    if (velocity_.defined()) {
      const double moved = size_of(latents_1CFHW - latents_);
      if (moved > 0) rate_ = size_of(velocity - velocity_) / moved;
    }
  }
  latents_ = latents_1CFHW.clone();
  velocity_ = velocity;
  timestep_ = step.timestep;
  ++num_seen_;
  return velocity;
}

}  // namespace sora
