// The only loop over timesteps.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "lib/core/observer.h"
#include "lib/models/denoiser.h"
#include "lib/schedulers/scheduler.h"

namespace sora {

// Told before each step what the clip would be if the velocity stayed: latents - sigma * velocity.
using WatchStep = std::function<void(const at::Tensor& latents_1CFHW,
                                     const at::Tensor& velocity_1CFHW, const NoiseStep& step)>;

NoiseStep noise_step(const Schedule& schedule, int step);

// Walks `latents_1CFHW` (noise, or a noised source) from step `first_step` of the scheduler's
// schedule to its end. Throws Error(Cancelled) when asked to stop, Error(Numerical) on NaN or
// infinity.
at::Tensor denoise(Denoiser& denoiser, Scheduler& scheduler, at::Tensor latents_1CFHW,
                   int first_step, Observer& observer, const WatchStep& watch = {});

}  // namespace sora
