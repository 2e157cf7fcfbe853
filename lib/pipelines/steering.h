// What changes the course of the denoise loop without changing the loop: denoisers around the
// model's own.
//
// Held frames follow their source's straight line from noise to picture: until the noise level of a
// frame is reached, the velocity it is given is (noise - source), which any flow solver takes
// without error, so that a step-wise strength (SDEdit, arXiv 2108.01073; differential diffusion,
// arXiv 2306.00950) and frames known to a plain text-to-video model are one. With a threshold for
// it, steps that would change little are left out (step_cache.h). Circles turn the latents before
// each step (Mobius, arXiv 2502.20307). Edits move the source itself by the difference of two
// velocities (FlowEdit, arXiv 2412.08629; FlowAlign, arXiv 2505.23145).
#pragma once

#include "lib/core/observer.h"
#include "lib/models/denoiser.h"
#include "lib/pipelines/denoise.h"
#include "lib/pipelines/plan.h"
#include "lib/schedulers/noise.h"
#include "lib/schedulers/scheduler.h"

namespace sora {

struct Steered {
  at::Tensor latents_1CFHW;
  // Steps around which there was a cache, and those that it spared.
  int num_cached = 0, num_reused = 0;
};

// Runs the loop over the scheduler's steps, from the highest level on that any frame follows a
// source to (Scheduler::start_below). `noise_1CFHW` is standard normal; edits draw from
// `more_noise` for each further step.
Steered denoise_steered(Denoiser& denoiser, Scheduler& scheduler, const Conditioning& conditioning,
                        const at::Tensor& noise_1CFHW, NoiseSource& more_noise, const Plan& plan,
                        Observer& observer, const WatchStep& watch = {});

}  // namespace sora
