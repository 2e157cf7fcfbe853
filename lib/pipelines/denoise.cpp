// Flow matching, Euler or multistep: x moves along the predicted velocity from one noise level to
// the next.
#include "lib/pipelines/denoise.h"

#include <ATen/ATen.h>

#include "lib/core/error.h"

namespace sora {
namespace {

// A sum is finite only if every element is, as f32 sums of latents stay far from overflow; one
// pass, no mask.
void check_finite(const at::Tensor& latents, int step) {
  if (!std::isfinite(latents.sum().item<double>())) {
    fail(ErrorKind::Numerical,
         "the latents are not finite after step {}; try --dtype f32, and check the weights with "
         "another program",
         step + 1);
  }
}

}  // namespace

NoiseStep noise_step(const Schedule& schedule, int step) {
  return {schedule.timesteps[step], schedule.sigmas[step], schedule.sigmas[step + 1]};
}

at::Tensor denoise(Denoiser& denoiser, Scheduler& scheduler, at::Tensor latents_1CFHW,
                   int first_step, Observer& observer, const WatchStep& watch) {
  const Schedule& schedule = scheduler.schedule();
  const int num_steps = schedule.num_steps();
  observer.begin(Phase::Denoise, num_steps - first_step);
  for (int step = first_step; step < num_steps; ++step) {
    check_stop(observer);
    const NoiseStep at = noise_step(schedule, step);
    const at::Tensor velocity = denoiser.velocity(latents_1CFHW, at);
    if (watch) watch(latents_1CFHW, velocity, at);
    latents_1CFHW = scheduler.step(velocity, step, latents_1CFHW);
    check_finite(latents_1CFHW, step);
    observer.advance(Phase::Denoise, step - first_step + 1);
  }
  return denoiser.pin(latents_1CFHW);
}

}  // namespace sora
