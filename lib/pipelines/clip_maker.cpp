// Noise is drawn on the CPU in f32 in the shape of the latents, as diffusers' pipelines draw it, so that a seed is
// diffusers' own noise.
#include "lib/pipelines/clip_maker.h"

#include <ATen/ATen.h>

#include "lib/pipelines/denoise.h"
#include "lib/pipelines/generate.h"
#include "lib/schedulers/noise.h"

namespace sora {

Canvas make_canvas(const Request& request, const Plan& plan, const ModelInfo& model) {
  return std::visit([&](const auto& operation) { return generate(operation, plan, model); }, request.operation);
}

ClipMaker::ClipMaker(const Request& request, const ModelInfo& model, const Plan& plan, Observer& observer)
    : request_(request),
      model_(model),
      plan_(plan),
      observer_(observer),
      canvas_(make_canvas(request, plan, model)) {}

at::Tensor ClipMaker::sample(uint64_t seed) {
  if (!conditioning_) {
    const EncodedText text = encode_text(model_, plan_, canvas_.prompt(), observer_);
    conditioning_ = make_conditioning(model_, plan_, canvas_, text, observer_);
  }
  if (!denoiser_) {
    denoiser_ = make_denoiser(model_, *conditioning_, plan_.grid, plan_.dtype == "bf16" ? at::kBFloat16 : at::kFloat);
  }
  const SchedulerOverrides overrides{request_.sampling.scheduler, request_.sampling.shift};
  const std::unique_ptr<Scheduler> scheduler =
      make_scheduler(model_.scheduler, overrides, model_.path.string());
  scheduler->set_timesteps(plan_.steps);
  return denoise(*denoiser_, *scheduler, draw_noise(plan_.grid.shape(), seed), 0, observer_);
}

void ClipMaker::decode(const at::Tensor& latents_1CFHW, const TakeFrames& take_frames) {
  if (!decoder_) decoder_.emplace(load_decoder(model_, plan_));
  sora::decode(*decoder_, latents_1CFHW, plan_, canvas_, take_frames, observer_);
}

}  // namespace sora
