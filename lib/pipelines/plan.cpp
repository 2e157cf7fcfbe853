// Formula for FLOPs: docs/performance.md. Sizes: a model draws anything up to the area it was made
// for; what is larger is drawn at the nearest canvas of that area and resized.
#include "lib/pipelines/plan.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "kernels/cpu/processor.h"
#include "kernels/cuda/gpu.h"
#include "lib/core/error.h"
#include "lib/media/resample.h"
#include "lib/nn/device.h"
#include "lib/nn/device_graph.h"
#include "lib/nn/ranks.h"
#include "lib/schedulers/scheduler.h"

namespace sora {
namespace {

// FlowEdit's scale towards the new text over the one away from the old: 13.5 and 5 on Wan 2.1.
constexpr double kEditGuidance = 2.7;

Size on_grid(const LatentStrides& strides, double width, double height) {
  const auto snap = [](double side, int64_t grid) {
    return std::max<int64_t>(1, std::llround(side / static_cast<double>(grid))) * grid;
  };
  return {snap(width, strides.pixel_grid_width()), snap(height, strides.pixel_grid_height())};
}

void plan_size(const VideoSpec& video, const ModelInfo& model, Plan& plan) {
  const LatentStrides strides = model.strides();
  plan.output_size = plan.layout.size;
  const Size& out = plan.output_size;
  const double area = static_cast<double>(out.width * out.height);
  const auto max_pixels = static_cast<double>(model.defaults.max_pixels);
  if (!video.native && area > max_pixels * kAreaTolerance) {
    const double shrink = std::sqrt(max_pixels / area);
    plan.canvas_size = on_grid(strides, static_cast<double>(out.width) * shrink,
                               static_cast<double>(out.height) * shrink);
    plan.scaled = true;
    plan.notices.push_back(fmt::format(
        "{} is larger than {} was made for; drawn at {} and resized (--native draws it directly)",
        to_string(out), model.name, to_string(plan.canvas_size)));
    return;
  }
  plan.canvas_size = {round_up_side(strides.pixel_grid_width(), out.width),
                      round_up_side(strides.pixel_grid_height(), out.height)};
  if (!(plan.canvas_size == out)) {
    plan.notices.push_back(fmt::format(
        "{} is not on this model's grid of {}x{}; drawn at {} and cut to size", to_string(out),
        strides.pixel_grid_width(), strides.pixel_grid_height(), to_string(plan.canvas_size)));
  }
}

// A time within a millionth of a frame is that frame's.
constexpr double kOnFrame = 1e-6;

// Stretches of the canvas whose frames are known.
std::vector<Stretch> known_stretches(const Plan& plan, int64_t num_frames) {
  std::vector<Stretch> known;
  for (const Shot& placement : plan.layout.kept) {
    const Stretch frames = on_canvas(plan, placement, num_frames);
    if (frames.size() > 0) known.push_back(frames);
  }
  for (const Picture& picture : plan.layout.pictures) {
    const int64_t frame = canvas_frame_of(plan, picture.frame);
    known.push_back({frame, frame + 1});
  }
  std::sort(known.begin(), known.end(),
            [](const Stretch& a, const Stretch& b) { return a.start < b.start; });
  return known;
}

// A circle of whole latent frames, which has no first one that stands alone.
void plan_circle(const ModelInfo& model, Plan& plan) {
  const int64_t stride = model.strides().temporal;
  const double asked =
      static_cast<double>(plan.output_frames) / plan.output_fps.value() * plan.canvas_fps.value();
  plan.canvas_frames =
      std::max<int64_t>(1, std::llround(asked / static_cast<double>(stride))) * stride;
  const int64_t fitting = resampled_frames(plan.canvas_frames, plan.canvas_fps, plan.output_fps);
  if (fitting != plan.output_frames) {
    plan.notices.push_back(
        fmt::format("a loop is made of whole steps of {} frames; {} frames instead of {}", stride,
                    fitting, plan.output_frames));
    plan.output_frames = plan.layout.num_frames = fitting;
  }
  const int64_t drawn = plan.canvas_frames - stride + 1;  // as many latent frames
  plan.windows = {{{0, drawn}, {0, plan.canvas_frames}}};
  if (plan.canvas_frames > model.defaults.max_frames) {
    plan.notices.push_back(fmt::format(
        "{} was made for clips up to {} frames; a loop of {} is drawn in one go and may drift",
        model.name, model.defaults.max_frames, plan.canvas_frames));
  }
}

// Windows that see frames of another one. Over a cut none does, whatever frames fill its end.
int64_t count_overlapping(const std::vector<Window>& windows) {
  return std::count_if(windows.begin(), windows.end(), [&](const Window& window) {
    return std::any_of(windows.begin(), windows.end(), [&](const Window& other) {
      return !(other == window) && other.sees == window.sees &&
             other.frames.start < window.frames.stop && window.frames.start < other.frames.stop;
    });
  });
}

void plan_length(const ModelInfo& model, Plan& plan) {
  plan.canvas_fps = model.defaults.fps;
  plan.output_fps = plan.layout.fps;
  plan.output_frames = plan.layout.num_frames;
  const double duration_s = static_cast<double>(plan.output_frames) / plan.output_fps.value();
  if (plan.output_frames > kMaxFrames || duration_s > kMaxDuration_s + 1e-6) {
    fail(ErrorKind::Usage,
         "the clip would have {} frames and last {:.1f} s; at most {} and {:.0f} s can be made",
         plan.output_frames, duration_s, kMaxFrames, kMaxDuration_s);
  }
  if (!(plan.output_fps == plan.canvas_fps)) {
    plan.notices.push_back(
        fmt::format("{} draws {} frames a second; {} are made of them by interpolation", model.name,
                    to_string(plan.canvas_fps), to_string(plan.output_fps)));
  }
  if (plan.layout.cyclic) return plan_circle(model, plan);

  const int64_t last = plan.output_frames + plan.layout.num_hidden - 1;
  const int64_t needed = canvas_frame_of(plan, last) + 1;
  std::vector<int64_t> cuts;
  for (const int64_t cut : plan.layout.cuts) {
    const int64_t frame = canvas_frame_of(plan, cut);
    if (frame > 0 && frame < needed && (cuts.empty() || cuts.back() < frame)) cuts.push_back(frame);
  }
  plan.windows = plan_windows(known_stretches(plan, needed), needed, model.strides(),
                              model.defaults.max_frames, cuts);
  plan.canvas_frames = needed;
  for (const Window& window : plan.windows)
    plan.canvas_frames = std::max(plan.canvas_frames, window.frames.stop);
  if (plan.canvas_frames != needed) {
    plan.notices.push_back(fmt::format(
        "{} frames are not 4n+1, which this model draws; {} are drawn and the last {} left out",
        needed, plan.canvas_frames, plan.canvas_frames - needed));
  }
  if (const int64_t count = count_overlapping(plan.windows); count > 0) {
    plan.notices.push_back(fmt::format(
        "{} draws up to {} frames at once; this clip is drawn in {} overlapping windows",
        model.name, model.defaults.max_frames, count));
  }
}

std::string resolve_dtype(const std::string& wish, at::Device device) {
  if (wish == "int8" && !device.is_cpu()) {
    fail(ErrorKind::Usage,
         "--dtype int8 is of processors; on a GPU take bf16 or f32, or --device cpu");
  }
  if (wish == "f32" || wish == "bf16" || wish == "int8") return wish;
  if (wish == "auto") {
    using kernels::cpu::Processor;
    return !device.is_cpu() || kernels::cpu::has(Processor::Avx2) ? "bf16" : "f32";
  }
  fail(ErrorKind::Usage, "--dtype {} is unknown; it is auto, f32, bf16 or int8", wish);
}

std::string resolve_attention(const std::string& wish, at::Device device) {
  if (wish != "auto" && wish != "torch" && wish != "sora" && wish != "int8") {
    fail(ErrorKind::Usage, "--attention {} is unknown; it is auto, torch, sora or int8", wish);
  }
  if (wish == "sora" && device.is_cuda() && !kernels::cuda::has_own_kernels()) {
    fail(ErrorKind::Usage,
         "--attention sora: this build holds no kernels for GPUs; build it with -DSORA_CUDA=ON, or "
         "take torch");
  }
  if (wish == "sora" && device.is_cuda() && !kernels::cuda::has_own_kernels_for(device)) {
    fail(ErrorKind::Usage,
         "--attention sora: this build holds kernels for other GPUs than {}; they are for compute "
         "capability 8.0 and later, so build it again with scripts/build on this machine, or take "
         "torch",
         device.str());
  }
  return wish;
}

bool resolve_cuda_graph(bool wish, at::Device device) {
  if (!wish) return false;
  if (!device.is_cuda())
    fail(ErrorKind::Usage, "--cuda-graph is of GPUs; leave it out, or take --device cuda");
  if (!has_graphs(device.type())) {
    fail(ErrorKind::Usage,
         "--cuda-graph: this build makes no CUDA graphs; build it with -DSORA_CUDA=ON, or leave it "
         "out");
  }
  if (Ranks::of_process() != nullptr) {
    fail(ErrorKind::Usage,
         "--cuda-graph is for a clip that one GPU draws; leave it out where --ranks share it");
  }
  return true;
}

// The loop begins at the noise level down to which the sources are followed.
void plan_steps(const Request& request, const ModelInfo& model, Plan& plan) {
  const std::vector<double>& levels = plan.layout.levels;
  const std::unique_ptr<Scheduler> scheduler = make_scheduler(
      model.scheduler, {plan.scheduler, request.sampling.shift}, model.path.string());
  scheduler->set_timesteps(plan.steps);
  const int first =
      levels.empty() ? 0 : scheduler->start_below(*std::max_element(levels.begin(), levels.end()));
  plan.steps_sampled = plan.steps - first;
  if (plan.layout.edit != EditMethod::None) {  // two of the target and two or one of the source
    plan.passes = plan.steps_sampled * (plan.layout.edit == EditMethod::FlowEdit ? 4 : 3);
    return;
  }
  const Schedule& schedule = scheduler->schedule();
  int left_out = 0;
  for (auto step = static_cast<size_t>(first); step < schedule.timesteps.size(); ++step) {
    const bool low_noise =
        plan.boundary_timestep && schedule.timesteps[step] < *plan.boundary_timestep;
    const bool is_wanted = (low_noise ? plan.guidance_scale_2 : plan.guidance_scale) > 1.0;
    const double sigma = schedule.sigmas[step];
    const bool is_guided =
        sigma >= plan.guidance_interval.low && sigma <= plan.guidance_interval.high;
    plan.passes += is_wanted && is_guided ? 2 : 1;
    if (is_wanted && !is_guided) ++left_out;
  }
  if (left_out > 0) {
    plan.notices.push_back(
        fmt::format("guidance: left out in {} of {} steps, outside of noise "
                    "levels {}",
                    left_out, plan.steps_sampled, to_string(plan.guidance_interval)));
  }
}

// What was asked of the guidance and has no effect.
void check_guidance(const Sampling& sampling, const ModelInfo& model, Plan& plan) {
  if (sampling.guidance_scale_2 && !model.has_two_experts()) {
    fail(ErrorKind::Usage,
         "--guidance-2 needs a model of two experts, such as Wan 2.2 A14B; {} has one (see sora "
         "models show)",
         model.name);
  }
  if (plan.negative_prompt == model.defaults.negative_prompt) return;
  if (plan.layout.edit == EditMethod::FlowAlign) {
    plan.notices.push_back("--method flowalign does not look at the negative prompt");
  } else if (plan.layout.edit == EditMethod::None && plan.guidance_scale <= 1.0 &&
             plan.guidance_scale_2 <= 1.0) {
    plan.notices.push_back(
        "the negative prompt is not looked at where the guidance is 1; give --guidance above it");
  }
}

// Whether every window sees a frame that is known or was drawn before it.
bool all_see_known_frames(const Plan& plan) {
  std::vector<Stretch> known = known_stretches(plan, plan.canvas_frames);
  return std::all_of(plan.windows.begin(), plan.windows.end(), [&](const Window& window) {
    const Stretch seen{std::max(window.frames.start, window.sees.start),
                       std::min(window.frames.stop, window.sees.stop)};
    const bool sees = std::any_of(known.begin(), known.end(), [&](const Stretch& stretch) {
      return stretch.start < seen.stop && seen.start < stretch.stop;
    });
    known.push_back(window.draws);
    return sees;
  });
}

uint64_t random_seed() { return std::random_device()(); }

}  // namespace

at::ScalarType scalar_type(const std::string& dtype) {
  return dtype == "f32" ? at::kFloat : at::kBFloat16;
}

Arithmetic arithmetic_of(const Plan& plan) {
  using kernels::AttentionKernel;
  return {.dtype = scalar_type(plan.dtype),
          .int8_products = plan.dtype == "int8",
          .int8_attention = plan.attention == "int8",
          .attention = plan.attention == "torch"  ? AttentionKernel::Torch
                       : plan.attention == "sora" ? AttentionKernel::Own
                                                  : AttentionKernel::Auto};
}

Layout make_layout(const Request& request, const ModelInfo& model) {
  Layout layout =
      std::visit([&](const auto& operation) { return lay_out(operation, request.video, model); },
                 request.operation);
  hear_sources(layout);
  tell_of_fields(layout);
  tell_of_cropping(layout);
  return layout;
}

double output_position(const Plan& plan, int64_t canvas_frame) {
  return static_cast<double>(canvas_frame) * plan.output_fps.value() / plan.canvas_fps.value();
}

int64_t frame_at_rate(int64_t frame, Rational from, Rational to) {
  const double position = static_cast<double>(frame) * to.value() / from.value();
  return static_cast<int64_t>(std::ceil(position - kOnFrame));
}

int64_t canvas_frame_of(const Plan& plan, int64_t output_frame) {
  return frame_at_rate(output_frame, plan.output_fps, plan.canvas_fps);
}

Stretch on_canvas(const Plan& plan, const Shot& placement, int64_t num_frames) {
  const Layout& layout = plan.layout;
  const int64_t start = canvas_frame_of(plan, placement.frames.start);
  const int64_t stop = placement.frames.stop;
  if (stop >= layout.num_frames + layout.num_hidden) return {start, num_frames};
  const bool is_joined =
      std::any_of(layout.kept.begin(), layout.kept.end(),
                  [&](const Shot& other) { return other.frames.start == stop; }) ||
      std::any_of(layout.pictures.begin(), layout.pictures.end(),
                  [&](const Picture& picture) { return picture.frame == stop; }) ||
      std::find(layout.cuts.begin(), layout.cuts.end(), stop) != layout.cuts.end();
  if (is_joined) return {start, canvas_frame_of(plan, stop)};
  const double last =
      static_cast<double>(stop - 1) * plan.canvas_fps.value() / plan.output_fps.value();
  return {start, static_cast<int64_t>(std::floor(last + kOnFrame)) + 1};
}

Plan make_plan(const Request& request, const ModelInfo& model) {
  check(request);
  Plan plan;
  plan.device = choose_device(request.runtime.device);
  plan.layout = make_layout(request, model);
  plan.notices = plan.layout.notices;
  plan_size(request.video, model, plan);
  plan_length(model, plan);
  if (plan.windows.empty() && !request.output.latents_path.empty()) {
    fail(ErrorKind::Usage,
         "--save-latents: no frame of this clip is drawn, so that it has no latents; leave it out");
  }
  int64_t largest = 1;
  for (const Window& window : plan.windows) largest = std::max(largest, window.frames.size());
  plan.grid =
      LatentGrid::of(model.strides(), largest, plan.canvas_size.height, plan.canvas_size.width);

  const Sampling& sampling = request.sampling;
  plan.scheduler = sampling.scheduler;
  if (plan.layout.edit != EditMethod::None) {  // the edit's course is no multistep solver's
    if (sampling.scheduler && *sampling.scheduler != "euler") {
      fail(ErrorKind::Usage, "the edit methods are made for --scheduler euler; {} was asked",
           *sampling.scheduler);
    }
    plan.scheduler = "euler";
  }
  plan.steps = sampling.steps.value_or(model.defaults.steps);
  plan.guidance_scale = sampling.guidance_scale.value_or(model.defaults.guidance_scale);
  plan.guidance_scale_2 =
      sampling.guidance_scale_2
          ? *sampling.guidance_scale_2
          : (sampling.guidance_scale
                 ? plan.guidance_scale
                 : model.defaults.guidance_scale_2.value_or(plan.guidance_scale));
  plan.edit_guidance =
      plan.layout.edit == EditMethod::FlowAlign ? model.defaults.align_guidance : kEditGuidance;
  plan.guidance_interval = sampling.guidance_interval.value_or(GuidanceInterval{});
  plan.cache_threshold = sampling.cache_threshold.value_or(0);
  if (model.has_two_experts()) plan.boundary_timestep = model.boundary_timestep;
  plan.negative_prompt = sampling.negative_prompt.value_or(model.defaults.negative_prompt);
  check_guidance(sampling, model, plan);
  plan.dtype = resolve_dtype(request.runtime.dtype, plan.device);
  plan.attention = resolve_attention(request.runtime.attention, plan.device);
  plan.cuda_graph = resolve_cuda_graph(request.runtime.cuda_graph, plan.device);
  plan.tiled = request.runtime.known_tiled;
  plan.seed = sampling.seed ? *sampling.seed : random_seed();
  plan.variations =
      std::visit([](const auto& operation) { return operation.variations; }, request.operation);
  plan_steps(request, model, plan);
  return plan;
}

size_t num_pictures_seen(const ModelInfo& model) {
  if (!model.wants_image_embeds) return 0;
  return model.transformer.pos_embed_seq_len ? 2 : 1;
}

void check_pictures(const Request& request, const ModelInfo& model, const Plan& plan) {
  const size_t wanted = num_pictures_seen(model), given = plan.layout.pictures.size();
  if (given >= wanted || plan.windows.empty()) return;
  if (given == 0 && all_see_known_frames(plan)) return;
  const char* pictures = wanted == 2 ? "two pictures" : "a picture";
  const auto* generate = std::get_if<GenerateRequest>(&request.operation);
  if (generate == nullptr || generate->loop) {
    fail(ErrorKind::Usage,
         "{} begins from {}, of which {} has none; take a model that begins from text", model.name,
         pictures, generate ? "--loop" : fmt::format("this {}", operation_name(request.operation)));
  }
  if (!generate->storyboard.empty()) {
    fail(ErrorKind::Usage, "{} begins from {}; give the storyboard {}", model.name, pictures,
         wanted == 2 ? "two cards with an image" : "a card with an image");
  }
  fail(ErrorKind::Usage, "{} begins from {}; give {}", model.name, pictures,
       wanted == 2 ? "--image and --last-image" : "--image");
}

LatentGrid drawn_grid(const Plan& plan, int64_t num_frames) {
  LatentGrid grid = plan.grid;
  grid.frames = (num_frames - 1) / grid.strides.temporal + 1 +
                static_cast<int64_t>(plan.layout.references.size());
  return grid;
}

double transformer_flops(const ModelInfo& model, const LatentGrid& grid) {
  const WanTransformerConfig& config = model.transformer;
  const auto n = static_cast<double>(grid.num_tokens());
  const auto d = static_cast<double>(config.num_attention_heads * config.attention_head_dim);
  const auto f = static_cast<double>(config.ffn_dim);
  const auto m = static_cast<double>(model.defaults.max_sequence_length);
  const double projections = 2 * n * (4 * d * d + 2 * d * d + 2 * d * f);
  const double scores = 4 * n * n * d + 4 * n * m * d;
  const auto num_control = static_cast<double>(config.vace_layers.size());
  return (static_cast<double>(config.num_layers) + num_control) * (projections + scores) +
         num_control * 2 * n * d * d;
}

double sampling_flops(const ModelInfo& model, const Plan& plan) {
  double flops = 0;
  for (const Window& window : plan.windows) {
    flops += transformer_flops(model, drawn_grid(plan, window.frames.size()));
  }
  return flops * plan.passes * plan.variations;
}

}  // namespace sora
