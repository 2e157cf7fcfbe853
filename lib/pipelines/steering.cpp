// Each steering is a Denoiser that asks another one.
#include "lib/pipelines/steering.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "lib/pipelines/denoise.h"
#include "lib/pipelines/step_cache.h"
#include "lib/schedulers/noise.h"

namespace sora {
namespace {

// FlowAlign's pull towards the source.
constexpr double kAlignment = 0.01;

class HeldDenoiser : public Denoiser {
 public:
  HeldDenoiser(Denoiser& inner, const Conditioning& conditioning, const at::Tensor& noise_1CFHW)
      : inner_(inner),
        levels_11F11_(conditioning.follow_levels_F.view({1, 1, -1, 1, 1}).to(noise_1CFHW.device())),
        line_1CFHW_(noise_1CFHW - conditioning.followed_latents_1CFHW) {}

  at::Tensor velocity(const at::Tensor& latents_1CFHW, const NoiseStep& step) override {
    // Sigmas are f32 numbers; a level that names one is reached by it.
    const at::Tensor is_held = levels_11F11_ < static_cast<float>(step.sigma) - 1e-6F;
    return at::where(is_held, line_1CFHW_, inner_.velocity(latents_1CFHW, step));
  }
  at::Tensor pin(const at::Tensor& latents_1CFHW) const override {
    return inner_.pin(latents_1CFHW);
  }

 private:
  Denoiser& inner_;
  at::Tensor levels_11F11_;
  at::Tensor line_1CFHW_;
};

class TurningDenoiser : public Denoiser {
 public:
  TurningDenoiser(Denoiser& inner, int64_t num_latent_frames)
      : inner_(inner),
        count_(num_latent_frames),
        turn_(std::max<int64_t>(1, num_latent_frames / 4)) {}

  at::Tensor velocity(const at::Tensor& latents_1CFHW, const NoiseStep& step) override {
    const at::Tensor velocity =
        inner_.velocity(latents_1CFHW.roll(-shift_, 2), step).roll(shift_, 2);
    shift_ = (shift_ + turn_) % count_;
    return velocity;
  }

 private:
  Denoiser& inner_;
  int64_t count_;
  int64_t turn_;
  int64_t shift_ = 0;
};

class EditDenoiser : public Denoiser {
 public:
  EditDenoiser(Denoiser& inner, const at::Tensor& source_1CFHW, const at::Tensor& noise_1CFHW,
               NoiseSource& more_noise, const Plan& plan)
      : inner_(inner),
        source_(source_1CFHW),
        noise_(noise_1CFHW),
        more_noise_(more_noise),
        plan_(plan) {}

  at::Tensor velocity(const at::Tensor& edited_1CFHW, const NoiseStep& step) override {
    const double t = step.sigma;
    const bool low_noise = plan_.boundary_timestep && step.timestep < *plan_.boundary_timestep;
    const double scale = low_noise ? plan_.guidance_scale_2 : plan_.guidance_scale;
    const double edit_scale = scale * plan_.edit_guidance;
    const at::Tensor on_line = (1 - t) * source_ + t * noise_;
    const at::Tensor on_target = edited_1CFHW + on_line - source_;
    const auto of_target = [&](Text text) { return inner_.velocity_of(on_target, step, text); };
    const auto of_source = [&](Text text) { return inner_.velocity_of(on_line, step, text); };
    at::Tensor result;
    if (plan_.layout.edit == EditMethod::FlowEdit) {
      const auto guided = [](const at::Tensor& negative, const at::Tensor& positive, double by) {
        return negative + by * (positive - negative);
      };
      result = guided(of_target(Text::Negative), of_target(Text::Prompt), edit_scale) -
               guided(of_source(Text::Negative), of_source(Text::Source), scale);
    } else {
      const at::Tensor plain = of_target(Text::Source);
      const at::Tensor towards = plain + edit_scale * (of_target(Text::Prompt) - plain);
      const at::Tensor along = of_source(Text::Source);
      const at::Tensor pull = (on_line - t * along) - (on_target - t * towards);
      result = towards - along + kAlignment * pull / (step.next_sigma - t);
    }
    noise_ = more_noise_.draw(noise_.sizes()).to(noise_.device());
    return result;
  }

 private:
  Denoiser& inner_;
  at::Tensor source_;
  at::Tensor noise_;
  NoiseSource& more_noise_;
  const Plan& plan_;
};

}  // namespace

Steered denoise_steered(Denoiser& denoiser, Scheduler& scheduler, const Conditioning& conditioning,
                        const at::Tensor& noise_1CFHW, NoiseSource& more_noise, const Plan& plan,
                        Observer& observer, const WatchStep& watch) {
  const Schedule& schedule = scheduler.schedule();
  const bool follows = !plan.layout.cyclic && conditioning.followed_latents_1CFHW.defined();
  const int first =
      follows ? scheduler.start_below(conditioning.follow_levels_F.max().item<double>()) : 0;
  if (first == schedule.num_steps()) return {conditioning.followed_latents_1CFHW};
  observer.begin(Phase::Load, 1);
  denoiser.load(noise_step(schedule, first));
  observer.advance(Phase::Load, 1);

  // Runs the loop from a step on, with the cache around `course`, as seen from which the latents
  // move steadily.
  const auto denoise_cached = [&](Denoiser& course, const auto& run) -> Steered {
    StepCache cache(course,
                    {plan.cache_threshold, schedule.num_steps() - first, plan.boundary_timestep});
    at::Tensor latents = run(cache);
    return {std::move(latents), cache.num_steps(), cache.num_reused()};
  };
  const auto from_noise = [&](Denoiser& cached) {
    return denoise(cached, scheduler, noise_1CFHW, 0, observer, watch);
  };
  if (plan.layout.cyclic) {
    TurningDenoiser turning(denoiser, noise_1CFHW.size(2));
    return denoise_cached(turning, from_noise);
  }
  if (!follows) return denoise_cached(denoiser, from_noise);

  if (plan.layout.edit != EditMethod::None) {
    EditDenoiser edit(denoiser, conditioning.followed_latents_1CFHW, noise_1CFHW, more_noise, plan);
    return {denoise(edit, scheduler, conditioning.followed_latents_1CFHW, first, observer, watch)};
  }
  const auto held_to_source = [&](Denoiser& cached) {
    HeldDenoiser held(cached, conditioning, noise_1CFHW);
    return denoise(held, scheduler,
                   scheduler.add_noise(conditioning.followed_latents_1CFHW, noise_1CFHW, first),
                   first, observer, watch);
  };
  return denoise_cached(denoiser, held_to_source);
}

}  // namespace sora
