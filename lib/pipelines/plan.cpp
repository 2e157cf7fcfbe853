// Formula for FLOPs: docs/performance.md. Sizes: a model draws anything up to the area it was made for; what is larger
// is drawn at the nearest canvas of that area and resized.
#include "lib/pipelines/plan.h"


#include <algorithm>
#include <cmath>
#include <random>

#include "lib/core/error.h"
#include "lib/core/processor.h"

namespace sora {
namespace {

Size requested_size(const VideoSpec& video, const ModelInfo& model) {
  if (video.size) return *video.size;
  if (video.resolution || video.aspect) {
    return size_for(video.resolution.value_or("480p"), video.aspect.value_or("16:9"));
  }
  return {model.defaults.width, model.defaults.height};
}

Size on_grid(const LatentStrides& strides, double width, double height) {
  const auto snap = [](double side, int64_t grid) {
    return std::max<int64_t>(1, std::llround(side / static_cast<double>(grid))) * grid;
  };
  return {snap(width, strides.pixel_grid_width()), snap(height, strides.pixel_grid_height())};
}

void plan_size(const VideoSpec& video, const ModelInfo& model, Plan& plan) {
  const LatentStrides strides = model.strides();
  plan.output_size = requested_size(video, model);
  const Size& out = plan.output_size;
  const double area = static_cast<double>(out.width * out.height);
  const auto max_pixels = static_cast<double>(model.defaults.max_pixels);
  if (!video.native && area > max_pixels * kAreaTolerance) {
    const double shrink = std::sqrt(max_pixels / area);
    plan.canvas_size =
        on_grid(strides, static_cast<double>(out.width) * shrink, static_cast<double>(out.height) * shrink);
    plan.scaled = true;
    plan.notices.push_back(fmt::format("{} is larger than {} was made for; drawn at {} and resized (--native draws it directly)",
                                       to_string(out), model.name, to_string(plan.canvas_size)));
    return;
  }
  plan.canvas_size = {round_up_side(strides.pixel_grid_width(), out.width),
                      round_up_side(strides.pixel_grid_height(), out.height)};
  if (!(plan.canvas_size == out)) {
    plan.notices.push_back(fmt::format("{} is not on this model's grid of {}x{}; drawn at {} and cut to size", to_string(out),
                                       strides.pixel_grid_width(), strides.pixel_grid_height(),
                                       to_string(plan.canvas_size)));
  }
}

void plan_length(const VideoSpec& video, const ModelInfo& model, Plan& plan) {
  plan.canvas_fps = model.defaults.fps;
  plan.output_fps = video.fps.value_or(plan.canvas_fps);
  if (video.num_frames) {
    plan.output_frames = *video.num_frames;
  } else if (video.duration_s) {
    plan.output_frames = std::max<int64_t>(1, std::llround(*video.duration_s * plan.output_fps.value()));
  } else {
    const double duration_s = static_cast<double>(model.defaults.num_frames) / plan.canvas_fps.value();
    plan.output_frames = video.fps ? std::max<int64_t>(1, std::llround(duration_s * plan.output_fps.value()))
                                   : model.defaults.num_frames;
  }
  if (plan.output_frames > kMaxFrames) {
    fail(ErrorKind::Usage, "{} frames come of this duration and rate; at most {} can be made", plan.output_frames, kMaxFrames);
  }
  int64_t needed = plan.output_frames;
  if (!(plan.output_fps == plan.canvas_fps)) {
    const double last_time_s = static_cast<double>(plan.output_frames - 1) / plan.output_fps.value();
    needed = static_cast<int64_t>(std::ceil(last_time_s * plan.canvas_fps.value() - 1e-9)) + 1;
    plan.notices.push_back(fmt::format("{} draws {} frames a second; {} are made of them by interpolation", model.name,
                                       to_string(plan.canvas_fps), to_string(plan.output_fps)));
  }
  plan.canvas_frames = round_up_frames(model.strides(), needed);
  if (plan.canvas_frames != needed) {
    plan.notices.push_back(fmt::format("{} frames are not 4n+1, which this model draws; {} are drawn and the last {} left out",
                                       needed, plan.canvas_frames, plan.canvas_frames - needed));
  }
  if (plan.canvas_frames > model.defaults.max_frames) {
    plan.notices.push_back(fmt::format("{} was made for clips up to {} frames; {} may drift", model.name,
                                       model.defaults.max_frames, plan.canvas_frames));
  }
}

std::string resolve_dtype(const std::string& wish) {
  if (wish == "f32" || wish == "bf16") return wish;
  if (wish == "auto") return has_bf16_dot_products() ? "bf16" : "f32";
  fail(ErrorKind::Usage, "--dtype {} is unknown; it is auto, f32 or bf16", wish);
}

uint64_t random_seed() { return std::random_device()(); }

}  // namespace

Plan make_plan(const Request& request, const ModelInfo& model) {
  check(request);
  if (request.runtime.device != "auto" && request.runtime.device != "cpu") {
    fail(ErrorKind::Usage, "--device {} cannot be used: this build runs on the CPU; leave it out or write cpu",
         request.runtime.device);
  }
  Plan plan;
  plan_size(request.video, model, plan);
  plan_length(request.video, model, plan);
  plan.grid = LatentGrid::of(model.strides(), plan.canvas_frames, plan.canvas_size.height, plan.canvas_size.width);

  const Sampling& sampling = request.sampling;
  plan.steps = sampling.steps.value_or(model.defaults.steps);
  plan.guidance_scale = sampling.guidance_scale.value_or(model.defaults.guidance_scale);
  plan.guidance_scale_2 = sampling.guidance_scale_2
                              ? *sampling.guidance_scale_2
                              : (sampling.guidance_scale ? plan.guidance_scale
                                                         : model.defaults.guidance_scale_2.value_or(plan.guidance_scale));
  plan.negative_prompt = sampling.negative_prompt.value_or(model.defaults.negative_prompt);
  plan.dtype = resolve_dtype(request.runtime.dtype);
  plan.seed = sampling.seed ? *sampling.seed : random_seed();
  return plan;
}

double transformer_flops(const ModelInfo& model, const LatentGrid& grid) {
  const WanTransformerConfig& config = model.transformer;
  const auto n = static_cast<double>(grid.num_tokens());
  const auto d = static_cast<double>(config.num_attention_heads * config.attention_head_dim);
  const auto f = static_cast<double>(config.ffn_dim);
  const auto m = static_cast<double>(model.defaults.max_sequence_length);
  const double projections = 2 * n * (4 * d * d + 2 * d * d + 2 * d * f);
  const double scores = 4 * n * n * d + 4 * n * m * d;
  return static_cast<double>(config.num_layers) * (projections + scores);
}

double sampling_flops(const ModelInfo& model, const Plan& plan) {
  const int passes = plan.guidance_scale > 1.0 ? 2 : 1;
  return transformer_flops(model, plan.grid) * passes * plan.steps;
}

}  // namespace sora
