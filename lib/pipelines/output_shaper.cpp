// Sources are decoded once more here, at the output's own rate and size, so that a kept frame has
// passed through nothing but the reader.
#include "lib/pipelines/output_shaper.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/media/image.h"

namespace sora {
namespace {

at::Tensor cut_middle(const at::Tensor& frames_FHWC, Size size) {
  const int64_t top = (frames_FHWC.size(1) - size.height) / 2;
  const int64_t left = (frames_FHWC.size(2) - size.width) / 2;
  return frames_FHWC.slice(1, top, top + size.height)
      .slice(2, left, left + size.width)
      .contiguous();
}

// How a canvas that is scaled becomes the output.
Fit scaled_fit(const Plan& plan) { return plan.layout.has_sources() ? Fit::Stretch : Fit::Crop; }

// What the canvas shows of a picture, as sharp as the picture is.
at::Tensor scaled_picture(const at::Tensor& picture_HWC, const Plan& plan) {
  const Size &canvas = plan.canvas_size, &output = plan.output_size;
  const double scale =
      std::max(static_cast<double>(output.width) / static_cast<double>(canvas.width),
               static_cast<double>(output.height) / static_cast<double>(canvas.height));
  const auto scaled = [&](int64_t side) {
    return static_cast<int64_t>(std::llround(static_cast<double>(side) * scale));
  };
  const at::Tensor shown_HWC =
      resize(picture_HWC, scaled(canvas.width), scaled(canvas.height), Fit::Crop);
  return resize(shown_HWC, output.width, output.height, scaled_fit(plan));
}

}  // namespace

// Where a source's own frames are put in the canvas stays empty, and a search for motion there
// would take as long as in drawn frames.
bool moves_between_frames(const Plan& plan) {
  return !(plan.canvas_fps == plan.output_fps) && plan.layout.kept.empty();
}

OutputShaper::OutputShaper(const Plan& plan, const TakeFrames& take_frames)
    : plan_(plan), take_frames_(take_frames) {
  if (!(plan.canvas_fps == plan.output_fps))
    rate_.emplace(plan.canvas_fps, plan.output_fps,
                  moves_between_frames(plan) ? RateMethod::Motion : RateMethod::Blend,
                  plan.layout.cuts);
  if (plan.scaled) {
    resizer_.emplace(plan.canvas_size.width, plan.canvas_size.height, plan.output_size.width,
                     plan.output_size.height, scaled_fit(plan));
  }
}

void OutputShaper::push(const at::Tensor& frames_FHWC) {
  emit(rate_ ? rate_->push(frames_FHWC) : frames_FHWC);
}

void OutputShaper::finish() {
  if (rate_) emit(rate_->finish());
  if (num_given_ != plan_.output_frames) {
    fail(ErrorKind::Internal, "{} frames came out of the decoder, {} were planned", num_given_,
         plan_.output_frames);
  }
  if (darkest_ == brightest_ && !plan_.windows.empty()) {
    fail(ErrorKind::Numerical,
         "every pixel of the clip has the value {}; the weights or the number type are at fault, "
         "try --dtype f32",
         darkest_);
  }
}

void OutputShaper::emit(at::Tensor frames_FHWC) {
  const int64_t wanted = std::min(frames_FHWC.size(0), plan_.output_frames - num_given_);
  if (wanted <= 0) return;
  frames_FHWC = frames_FHWC.slice(0, 0, wanted);
  frames_FHWC = with_own_frames(with_pictures(to_output(frames_FHWC)));
  if (darkest_ == brightest_ || num_given_ == 0) {
    const auto [low, high] = frames_FHWC.aminmax();
    darkest_ = num_given_ == 0 ? low.item<int>() : std::min(darkest_, low.item<int>());
    brightest_ = num_given_ == 0 ? high.item<int>() : std::max(brightest_, high.item<int>());
  }
  num_given_ += wanted;
  take_frames_(frames_FHWC);
}

at::Tensor OutputShaper::to_output(const at::Tensor& frames_FHWC) const {
  return resizer_ ? (*resizer_)(frames_FHWC.contiguous())
                  : cut_middle(frames_FHWC, plan_.output_size);
}

// At the model's own rate and size the canvas' frames are the pictures already; at another rate
// they lie between two of it, and what is scaled has lost their detail.
at::Tensor OutputShaper::with_pictures(at::Tensor frames_FHWC) const {
  if (!rate_ && !plan_.scaled) return frames_FHWC;
  for (const Picture& picture : plan_.layout.pictures) {
    const int64_t frame = picture.frame - num_given_;
    if (frame < 0 || frame >= frames_FHWC.size(0)) continue;
    const at::Tensor picture_HWC = read_image(picture.path);
    const Size& canvas = plan_.canvas_size;
    frames_FHWC = frames_FHWC.clone();
    frames_FHWC[frame].copy_(
        plan_.scaled
            ? scaled_picture(picture_HWC, plan_)
            : cut_middle(resize(picture_HWC, canvas.width, canvas.height, Fit::Crop).unsqueeze(0),
                         plan_.output_size)[0]);
  }
  return frames_FHWC;
}

at::Tensor OutputShaper::with_own_frames(at::Tensor frames_FHWC) {
  const Stretch chunk{num_given_, num_given_ + frames_FHWC.size(0)};
  const std::vector<Shot>& kept = plan_.layout.kept;
  if (placement_ < kept.size() && kept[placement_].frames.start < chunk.stop)
    frames_FHWC = frames_FHWC.clone();
  for (; placement_ < kept.size() && kept[placement_].frames.start < chunk.stop; ++placement_) {
    const Shot& placement = kept[placement_];
    const int64_t from = std::max(chunk.start, placement.frames.start);
    const int64_t to = std::min(chunk.stop, placement.frames.stop);
    if (!source_) {
      source_.emplace(*placement.source,
                      SourceView{plan_.output_fps, plan_.output_size, placement.fit},
                      placement.first);
    }
    frames_FHWC.slice(0, from - chunk.start, to - chunk.start).copy_(source_->read(to - from));
    if (placement.frames.stop > chunk.stop) break;  // goes on in the next chunk
    source_.reset();
  }
  return frames_FHWC;
}

}  // namespace sora
