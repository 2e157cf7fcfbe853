// Known stretches are kept sorted and never overlap, so that masks and splices need no further
// rule.
#include "lib/pipelines/canvas.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lib/core/error.h"

namespace sora {
namespace {

Stretch overlap(const Stretch& a, const Stretch& b) {
  return {std::max(a.start, b.start), std::min(a.stop, b.stop)};
}

}  // namespace

Canvas::Canvas(Size size, int64_t num_frames, std::vector<Said> prompts)
    : size_(size), num_frames_(num_frames), prompts_(std::move(prompts)) {}

void Canvas::keep(const at::Tensor& frames_FHWC, int64_t start) {
  keep({start, start + frames_FHWC.size(0)}, [frames_FHWC, start](Stretch wanted) {
    return frames_FHWC.slice(0, wanted.start - start, wanted.stop - start);
  });
}

void Canvas::keep_picture(const at::Tensor& picture_HWC, int64_t frame) {
  const auto read = [picture_HWC](Stretch wanted) {
    return picture_HWC.expand({wanted.size(), -1, -1, -1});
  };
  keep(Known{{frame, frame + 1}, read, false, /*is_picture=*/true});
}

void Canvas::keep(Known added) {
  const Stretch frames = added.frames;
  if (frames.start < 0 || frames.stop > num_frames_) {
    fail(ErrorKind::Internal, "frames {} to {} lie outside the canvas of {}", frames.start,
         frames.stop, num_frames_);
  }
  for (const Known& known : known_) {
    if (const Stretch both = overlap(known.frames, frames); both.size() > 0) {
      fail(ErrorKind::Internal, "frames {} to {} are known twice", both.start, both.stop);
    }
  }
  known_.push_back(std::move(added));
  std::sort(known_.begin(), known_.end(),
            [](const Known& a, const Known& b) { return a.frames.start < b.frames.start; });
}

at::Tensor Canvas::known_mask() const {
  at::Tensor mask = at::zeros({num_frames_}, at::kFloat);
  for (const Known& known : known_) mask.slice(0, known.frames.start, known.frames.stop).fill_(1.0);
  return mask;
}

at::Tensor Canvas::read_known(Stretch frames) const {
  std::vector<at::Tensor> parts;
  int64_t next = frames.start;
  for (const Known& known : known_) {
    const Stretch wanted = overlap(known.frames, frames);
    if (wanted.size() <= 0) continue;
    if (wanted.start != next) break;
    parts.push_back(known.read(wanted));
    next = wanted.stop;
  }
  if (next != frames.stop) fail(ErrorKind::Internal, "frame {} is not known", next);
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

Canvas Canvas::cut(Stretch window, Stretch sees) const {
  const Stretch seen = overlap(window, sees);
  std::vector<Said> prompts;
  for (const Said& said : prompts_) {
    const Stretch part = overlap(said.frames, seen);
    if (part.size() > 0)
      prompts.push_back({{part.start - window.start, part.stop - window.start}, said.text});
  }
  if (prompts.empty()) prompts.push_back({{0, window.size()}, prompts_.back().text});
  prompts.front().frames.start = 0;
  prompts.back().frames.stop = window.size();

  Canvas canvas(size_, window.size(), std::move(prompts));
  for (const Known& known : known_) {
    const Stretch part = overlap(known.frames, seen);
    if (part.size() <= 0) continue;
    if (known.is_picture) {
      canvas.keep_picture(known.read(part)[0], part.start - window.start);
    } else {
      canvas.keep(known.read(part), part.start - window.start);
    }
  }
  for (const Follow& source : follows_) {
    const Stretch part = overlap(source.frames, seen);
    if (part.size() <= 0) continue;
    const at::Tensor frames_FHWC = source.read(part);
    const int64_t start = part.start - window.start;
    canvas.follow({{start, part.stop - window.start},
                   [frames_FHWC, start](Stretch wanted) {
                     return frames_FHWC.slice(0, wanted.start - start, wanted.stop - start);
                   },
                   source.weights_F.slice(0, part.start - source.frames.start,
                                          part.stop - source.frames.start),
                   source.look_only});
  }
  if (levels_F_.defined()) {
    at::Tensor levels_F = at::ones({window.size()}, at::kFloat);
    const Stretch part = overlap({0, num_frames_}, window);
    levels_F.slice(0, part.start - window.start, part.stop - window.start)
        .copy_(levels_F_.slice(0, part.start, part.stop));
    canvas.set_levels(levels_F);
  }
  for (const at::Tensor& picture : pictures_) canvas.show(picture);
  canvas.references_ = references_;
  if (const Stretch part = overlap(control_.frames, seen); part.size() > 0) {
    const at::Tensor frames_FHWC = control_.read(part);
    const int64_t start = part.start - window.start;
    canvas.control({start, part.stop - window.start}, [frames_FHWC, start](Stretch wanted) {
      return frames_FHWC.slice(0, wanted.start - start, wanted.stop - start);
    });
  }
  return canvas;
}

Canvas Canvas::with_whole_pictures(const LatentStrides& strides) const {
  Canvas canvas = *this;
  for (const Known& known : known_) {
    const int64_t frame = known.frames.start;
    if (!known.is_picture || frame == 0) continue;  // the first latent frame is one frame
    const int64_t start = (frame - 1) / strides.temporal * strides.temporal + 1;
    const at::Tensor is_known = canvas.known_mask();
    for (int64_t beside = start; beside < std::min(start + strides.temporal, num_frames_);
         ++beside) {
      if (is_known[beside].item<float>() == 0)
        canvas.keep_picture(known.read(known.frames)[0], beside);
    }
  }
  return canvas;
}

const std::string& Canvas::text_at(int64_t frame) const {
  for (const Said& said : prompts_) {
    if (frame < said.frames.stop) return said.text;
  }
  return prompts_.back().text;
}

std::vector<std::string> Canvas::describe() const {
  const at::Tensor mask = known_mask();
  const float* is_known = mask.const_data_ptr<float>();
  const float* level = levels_F_.defined() ? levels_F_.const_data_ptr<float>() : nullptr;
  const auto kind = [&](int64_t frame) -> std::string {
    if (is_known[frame] > 0) return "known";
    const std::string text = text_at(frame);
    if (level && level[frame] < 1) return fmt::format("guided to {:.2f}: {}", level[frame], text);
    return "free: " + text;
  };
  std::vector<std::string> lines;
  for (int64_t start = 0; start < num_frames_;) {
    const std::string what = kind(start);
    int64_t stop = start + 1;
    while (stop < num_frames_ && kind(stop) == what) ++stop;
    lines.push_back(fmt::format("frames {}-{} {}", start, stop, what));
    start = stop;
  }
  return lines;
}

}  // namespace sora
