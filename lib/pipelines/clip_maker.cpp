// Noise is drawn on the CPU in f32 in the shape of the latents, as diffusers' pipelines draw it, so
// that a seed is diffusers' own noise; windows after the first go on drawing from the same source.
#include "lib/pipelines/clip_maker.h"

#include <fmt/ranges.h>

#include <ATen/ATen.h>

#include <algorithm>

#include "lib/core/error.h"
#include "lib/nn/tensor_memory.h"
#include "lib/pipelines/border_match.h"
#include "lib/pipelines/denoise.h"
#include "lib/pipelines/memory_plan.h"
#include "lib/pipelines/steering.h"

namespace sora {
namespace {

constexpr int64_t kChunk = 16;
// Frames of a source next to drawn ones, which interpolation to the output's rate may look at.
constexpr int64_t kSeenBeside = 2;
// Frames over which a drawn window goes over from the one before it to its own.
constexpr int64_t kJoinFrames = 7;

// Progress of one window as progress of the whole clip.
class WindowObserver : public Observer {
 public:
  WindowObserver(Observer& whole, size_t index, size_t count)
      : whole_(whole), index_(static_cast<int64_t>(index)), count_(static_cast<int64_t>(count)) {}

  void begin(Phase phase, int64_t total_steps) override {
    if (phase != Phase::Denoise) return;
    total_ = total_steps;
    whole_.begin(phase, total_steps * count_);
    if (index_ > 0) whole_.advance(phase, total_steps * index_);
  }
  void advance(Phase phase, int64_t steps_done) override {
    if (phase == Phase::Denoise) whole_.advance(phase, total_ * index_ + steps_done);
  }
  void notice(std::string_view sentence) override { whole_.notice(sentence); }
  bool stop_requested() const override { return whole_.stop_requested(); }

 private:
  Observer& whole_;
  int64_t index_;
  int64_t count_;
  int64_t total_ = 0;
};

// While it lives, the large tensors of a step or chunk are made where those of the one before were.
class KeptMemory {
 public:
  explicit KeptMemory(int64_t bytes) { keep_tensor_memory(bytes); }
  ~KeptMemory() { keep_tensor_memory(0); }
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;
};

// Tells a canvas of this window the frames that earlier ones drew.
void keep_drawn(Canvas& canvas, const Window& window, const Reel& reel) {
  const Stretch seen{std::max(window.frames.start, window.sees.start),
                     std::min(window.frames.stop, window.sees.stop)};
  for (const Stretch& drawn : reel.stretches(seen))
    canvas.keep(reel.read(drawn), drawn.start - window.frames.start);
}

// The window's canvas as if nothing were known but those.
Canvas only_drawn(const Canvas& canvas, const Window& window, const Reel& reel) {
  Canvas drawn(canvas.size(), canvas.num_frames(), canvas.prompts());
  keep_drawn(drawn, window, reel);
  return drawn;
}

}  // namespace

ClipMaker::ClipMaker(const Request& request, const ModelInfo& model, const Plan& plan,
                     Observer& observer, Preview* preview)
    : request_(request),
      model_(model),
      plan_(plan),
      observer_(observer),
      preview_(preview),
      canvas_(make_canvas(plan)),
      source_encoder_(model, plan) {}

void ClipMaker::check_latents(const at::Tensor& latents_1CFHW) const {
  if (plan_.windows.size() != 1) {
    fail(ErrorKind::Input, "the clip is drawn in {} windows; latents finish only clips of one",
         plan_.windows.size());
  }
  auto wanted = drawn_grid(plan_, plan_.windows[0].frames.size()).shape();
  wanted[2] -= static_cast<int64_t>(plan_.layout.references.size());
  if (latents_1CFHW.is_floating_point() && latents_1CFHW.sizes() == at::IntArrayRef(wanted)) return;
  fail(ErrorKind::Input,
       "the latents are {} of [{}], and the clip that their manifest tells of has floating-point "
       "ones of [{}]",
       c10::toString(latents_1CFHW.scalar_type()), fmt::join(latents_1CFHW.sizes(), ", "),
       fmt::join(wanted, ", "));
}

void ClipMaker::make(const Making& making, const TakeFrames& take_frames,
                     const TakeLatents& take_latents) {
  OutputShaper shaper(plan_, take_frames);
  num_cached_ = num_reused_ = 0;
  if (making.known_latents_1CFHW.defined()) check_latents(making.known_latents_1CFHW);
  if (plan_.layout.cyclic) return make_circle(making, shaper, take_latents);
  Noise noise(making.seed);

  Reel reel;
  int64_t next = 0;
  const at::Tensor known = canvas_.known_mask();
  const float* is_known = known.const_data_ptr<float>();
  hand_over(reel, next, shaper);
  for (size_t index = 0; index < plan_.windows.size(); ++index) {
    const Window& window = plan_.windows[index];
    const bool is_last_window = index + 1 == plan_.windows.size();
    WindowObserver observer(observer_, index, plan_.windows.size());
    const Canvas canvas = cut_window(window, reel);
    const at::Tensor latents =
        making.known_latents_1CFHW.defined()
            ? making.known_latents_1CFHW
            : sample(canvas, noise, plan_.windows.size() == 1 ? observer_ : observer);
    if (is_last_window) tell_of_cache();
    if (take_latents) take_latents(index, latents);
    if (making.only_latents && plan_.windows.size() == 1) return;
    if ((making.is_last && is_last_window) || !model_.placement.keeps_networks) denoiser_.reset();

    if (!decoder_) decoder_.emplace(load_decoder(model_, plan_));
    if (plan_.windows.size() == 1) observer_.begin(Phase::Decode, window.frames.size());
    const auto take_drawn = [&](int64_t frame_of_window, const at::Tensor& frame_HWC) {
      const int64_t frame = window.frames.start + frame_of_window;
      const bool is_drawn =
          frame >= window.draws.start && frame < window.draws.stop && is_known[frame] == 0;
      if (is_drawn) reel.put(frame, frame_HWC);
    };
    // A clip without a source's own frames is matched to what was drawn before alone: one that
    // begins from a picture stays what diffusers makes of it.
    const bool has_own_frames = !plan_.layout.kept.empty();
    const Canvas beside = has_own_frames ? canvas : only_drawn(canvas, window, reel);
    BorderMatch match(beside, take_drawn, has_own_frames ? 0 : kJoinFrames);
    int64_t decoded = 0;
    const KeptMemory kept(model_.placement.kept_bytes);
    decode(*decoder_, latents, [&](const at::Tensor& frames_FHWC) {
      check_stop(observer_);
      match.push(frames_FHWC);
      decoded += frames_FHWC.size(0);
      hand_over(reel, next, shaper);
      if (plan_.windows.size() == 1) observer_.advance(Phase::Decode, decoded);
    });
    if (!model_.placement.keeps_networks) decoder_.reset();
    int64_t needed = next;
    for (size_t later = index + 1; later < plan_.windows.size(); ++later) {
      needed = std::min(needed, plan_.windows[later].frames.start);
    }
    reel.drop_before(needed);
  }
  shaper.finish();
}

int64_t ClipMaker::num_shown() const {
  return std::min(plan_.canvas_frames, canvas_frame_of(plan_, plan_.output_frames - 1) + 1);
}

// What can be handed over in order: known frames, and those drawn so far. Sources' own frames are
// put in by the shaper, so they are only read here where drawn frames are near.
void ClipMaker::hand_over(Reel& reel, int64_t& next, OutputShaper& shaper) const {
  const int64_t end = num_shown();
  while (next < end) {
    const auto known = std::find_if(
        canvas_.known().begin(), canvas_.known().end(), [&](const Canvas::Known& stretch) {
          return stretch.frames.start <= next && next < stretch.frames.stop;
        });
    if (known != canvas_.known().end()) {
      int64_t stop = std::min({known->frames.stop, end, next + kChunk});
      const int64_t inner_start = known->frames.start + kSeenBeside,
                    inner_stop = known->frames.stop - kSeenBeside;
      const bool is_inner = known->from_source && next >= inner_start && next < inner_stop;
      if (known->from_source && next < inner_start) stop = std::min(stop, inner_start);
      if (is_inner) stop = std::min(stop, inner_stop);
      const Size size = canvas_.size();
      shaper.push(is_inner ? at::zeros({stop - next, size.height, size.width, 3}, at::kByte)
                           : canvas_.read_known({next, stop}));
      next = stop;
    } else if (reel.has(next)) {
      shaper.push(reel.read({next, next + 1}));
      ++next;
    } else {
      return;
    }
  }
}

Canvas ClipMaker::cut_window(const Window& window, const Reel& reel) const {
  Canvas canvas = canvas_.cut(window.frames, window.sees);
  keep_drawn(canvas, window, reel);
  // Frames after the last that is shown are there to fill the last latent frame; beside a known one
  // grey ones would bleed into it.
  const int64_t end = std::min(num_shown(), window.sees.stop) - window.frames.start;
  const at::Tensor known = canvas.known_mask();
  if (end > 0 && end < canvas.num_frames() && known[end - 1].item<float>() == 1 &&
      known.slice(0, end).sum().item<float>() == 0) {
    const at::Tensor last = canvas.read_known({end - 1, end});
    canvas.keep(last.expand({canvas.num_frames() - end, -1, -1, -1}), end);
  }
  return canvas;
}

at::Tensor ClipMaker::sample(const Canvas& window, Noise& noise, Observer& observer) {
  const LatentGrid grid = drawn_grid(plan_, window.num_frames());
  if (!texts_) texts_ = encode_texts_of(model_, plan_, observer_);
  const Conditioning conditioning =
      make_conditioning(model_, plan_, window, *texts_, source_encoder_, observer);
  choose_row_ops(arithmetic_of(plan_));
  if (!denoiser_) denoiser_ = make_denoiser(model_, arithmetic_of(plan_), plan_.device);
  denoiser_->set_conditioning(conditioning, grid);

  const SchedulerOverrides overrides{plan_.scheduler, request_.sampling.shift};
  const std::unique_ptr<Scheduler> scheduler =
      make_scheduler(model_.scheduler, overrides, model_.path.string());
  scheduler->set_timesteps(plan_.steps);
  const KeptMemory kept(model_.placement.kept_bytes);
  const Steered drawn = denoise_steered(
      *denoiser_, *scheduler, conditioning, noise.initial.draw(grid.shape()).to(plan_.device),
      noise.further, plan_, observer, preview_ ? preview_->watch(observer_) : WatchStep{});
  num_cached_ += drawn.num_cached;
  num_reused_ += drawn.num_reused;
  return drawn.latents_1CFHW.slice(2, static_cast<int64_t>(plan_.layout.references.size()))
      .to(at::kCPU);
}

void ClipMaker::tell_of_cache() const {
  if (plan_.cache_threshold <= 0 || num_cached_ == 0) return;
  observer_.notice(fmt::format("cache: the velocity of {} of {} steps was that of the step before",
                               num_reused_, num_cached_));
}

void ClipMaker::make_circle(const Making& making, OutputShaper& shaper,
                            const TakeLatents& take_latents) {
  Noise noise(making.seed);
  const at::Tensor latents = making.known_latents_1CFHW.defined()
                                 ? making.known_latents_1CFHW
                                 : sample(canvas_.cut(plan_.windows[0].frames), noise, observer_);
  tell_of_cache();
  if (take_latents) take_latents(0, latents);
  if (making.only_latents) return;
  if (making.is_last || !model_.placement.keeps_networks) denoiser_.reset();
  if (!decoder_) decoder_.emplace(load_decoder(model_, plan_));
  observer_.begin(Phase::Decode, plan_.canvas_frames);
  int64_t frame = 0;
  at::Tensor first;
  const KeptMemory kept(model_.placement.kept_bytes);
  decode_circle(*decoder_, latents, [&](const at::Tensor& frames_FHWC) {
    check_stop(observer_);
    if (!first.defined()) first = frames_FHWC;
    shaper.push(frames_FHWC);
    frame += frames_FHWC.size(0);
    observer_.advance(Phase::Decode, frame);
  });
  if (!model_.placement.keeps_networks) decoder_.reset();
  shaper.push(first);  // what follows the last frame, for interpolation
  shaper.finish();
}

}  // namespace sora
