// Steps whose velocity is like the one before it are not computed (EasyCache, arXiv 2507.02860).
//
// The velocity v moves with the latents x at a rate k = |v - v'| / |x - x'|, measured between
// computed steps. A step that moves the latents by |x - x'| is thus expected to change the velocity
// by the share k |x - x'| / |v|. Shares are added up from the last computed step on, and while
// their sum stays below the threshold its velocity is used again. The first steps, where the rate
// is not yet steady, and the last one are always computed. Norms are mean magnitudes.
#pragma once

#include <optional>

#include "lib/models/denoiser.h"

namespace sora {

struct StepCacheSettings {
  // The sum of expected changes; 0 reuses nothing, 0.05 about a third of 20 steps.
  double threshold = 0;
  int num_steps = 0;
  std::optional<double> boundary_timestep;  // where an expert takes over, which is asked anew
};

class StepCache : public Denoiser {
 public:
  StepCache(Denoiser& inner, const StepCacheSettings& settings)
      : inner_(inner), settings_(settings) {}

  at::Tensor velocity(const at::Tensor& latents_1CFHW, const NoiseStep& step) override;
  at::Tensor velocity_of(const at::Tensor& latents_1CFHW, const NoiseStep& step,
                         Text text) override {
    return inner_.velocity_of(latents_1CFHW, step, text);
  }
  at::Tensor pin(const at::Tensor& latents_1CFHW) const override {
    return inner_.pin(latents_1CFHW);
  }

  int num_reused() const { return num_reused_; }
  int num_steps() const { return num_seen_; }

 private:
  bool may_reuse(const at::Tensor& latents_1CFHW, const NoiseStep& step);

  Denoiser& inner_;
  StepCacheSettings settings_;
  at::Tensor latents_, velocity_;  // of the step before
  std::optional<double> rate_;
  double expected_change_ = 0;  // since the last computed step
  double timestep_ = 0;
  int num_seen_ = 0, num_reused_ = 0;
};

}  // namespace sora
