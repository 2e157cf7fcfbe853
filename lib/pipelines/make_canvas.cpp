// From the output's timeline to the model's: another frame rate, another size, whole latent frames.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lib/media/image.h"
#include "lib/pipelines/canvas.h"

namespace sora {
namespace {

// A frame of the output as the canvas shows it: what decode.h does to the canvas, undone. Where the
// canvas is larger only by the grid's rest, the outermost pixels are repeated, so that no border is
// drawn.
class ToCanvas {
 public:
  explicit ToCanvas(const Plan& plan)
      : output_(plan.output_size), canvas_(plan.canvas_size), scaled_(plan.scaled) {}

  at::Tensor operator()(const at::Tensor& frames_FHWC) const {
    if (scaled_)
      return resize(frames_FHWC.contiguous(), canvas_.width, canvas_.height, Fit::Stretch);
    if (output_ == canvas_) return frames_FHWC;
    return frames_FHWC.index_select(1, places(canvas_.height, output_.height))
        .index_select(2, places(canvas_.width, output_.width));
  }

 private:
  static at::Tensor places(int64_t canvas, int64_t output) {
    return (at::arange(canvas) - (canvas - output) / 2).clamp(0, output - 1);
  }

  Size output_, canvas_;
  bool scaled_;
};

// Frames of a placement at the canvas' times, its last one past its end. Where the canvas has fewer
// frames a second, the nearest are taken; where it has more, those in between are mixed from their
// two neighbours.
at::Tensor read_placement(const Plan& plan, const Shot& placement, Stretch frames) {
  const ToCanvas to_canvas(plan);
  const bool is_denser = plan.canvas_fps.value() > plan.output_fps.value() * (1 + 1e-9);
  const auto inside = [&](double position) {
    return std::clamp(position, static_cast<double>(placement.frames.start),
                      static_cast<double>(placement.frames.stop - 1));
  };
  int64_t next =
      static_cast<int64_t>(std::floor(inside(output_position(plan, frames.start)) + 1e-6));
  SourceFrames source(*placement.source, {plan.output_fps, plan.output_size, placement.fit},
                      placement.first + next - placement.frames.start);
  at::Tensor before, after;  // output frames next - 2 and next - 1
  const auto advance_to = [&](int64_t frame) {
    for (; next <= frame; ++next) {
      before = after;
      after = to_canvas(source.read(1));
    }
  };
  std::vector<at::Tensor> read;
  for (int64_t frame = frames.start; frame < frames.stop; ++frame) {
    const double position = inside(output_position(plan, frame));
    if (!is_denser) {
      advance_to(std::llround(position - 1e-6));
      read.push_back(after);
      continue;
    }
    const double floor = std::floor(position + 1e-6);
    const double share = position - floor;
    if (share < 1e-6) {
      advance_to(static_cast<int64_t>(floor));
      read.push_back(next == static_cast<int64_t>(floor) + 1 ? after : before);
    } else {
      advance_to(static_cast<int64_t>(floor) + 1);
      read.push_back(
          at::lerp(before.to(at::kFloat), after.to(at::kFloat), share).round_().to(at::kByte));
    }
  }
  return at::cat(read);
}

// A number of each output frame at the canvas' times.
at::Tensor at_canvas_times(const Plan& plan, const std::vector<double>& values,
                           int64_t values_start, Stretch frames) {
  at::Tensor result = at::empty({frames.size()}, at::kFloat);
  for (int64_t frame = frames.start; frame < frames.stop; ++frame) {
    const auto index =
        static_cast<int64_t>(std::llround(output_position(plan, frame))) - values_start;
    const auto last = static_cast<int64_t>(values.size()) - 1;
    result[frame - frames.start] = values[static_cast<size_t>(std::clamp<int64_t>(index, 0, last))];
  }
  return result;
}

}  // namespace

Canvas make_canvas(const Plan& plan) {
  const Layout& layout = plan.layout;
  std::vector<Said> prompts;
  for (const Said& said : layout.prompts) {
    const Stretch frames{canvas_frame_of(plan, said.frames.start),
                         canvas_frame_of(plan, said.frames.stop)};
    if (frames.size() > 0) prompts.push_back({frames, said.text});
  }
  if (prompts.empty()) prompts.push_back({{}, layout.prompt()});
  prompts.front().frames.start = 0;
  prompts.back().frames.stop = plan.canvas_frames;

  // The placements read through pointers into the plan, which outlives the canvas.
  Canvas canvas(plan.canvas_size, plan.canvas_frames, std::move(prompts));
  for (const Shot& placement : layout.kept) {
    const Stretch frames = on_canvas(plan, placement, plan.canvas_frames);
    if (frames.size() <= 0) continue;
    canvas.keep(
        frames,
        [&plan, &placement](Stretch wanted) { return read_placement(plan, placement, wanted); },
        true);
  }
  for (const Guide& guide : layout.guides) {
    const Stretch frames = on_canvas(plan, guide.placement, plan.canvas_frames);
    if (frames.size() <= 0) continue;
    canvas.follow(
        {frames,
         [&plan, &guide](Stretch wanted) { return read_placement(plan, guide.placement, wanted); },
         at_canvas_times(plan, guide.weights, guide.placement.frames.start, frames),
         guide.look_only});
  }
  if (!layout.levels.empty()) {
    canvas.set_levels(at_canvas_times(plan, layout.levels, 0, {0, plan.canvas_frames}));
  }
  for (const Picture& picture : layout.pictures) {
    const at::Tensor picture_HWC = read_image(picture.path);
    canvas.keep_picture(resize(picture_HWC, canvas.size().width, canvas.size().height, Fit::Crop),
                        canvas_frame_of(plan, picture.frame));
    canvas.show(picture_HWC);
  }
  for (const std::string& path : layout.references) canvas.refer(read_image(path));
  if (layout.control) {
    const Stretch frames = on_canvas(plan, *layout.control, plan.canvas_frames);
    canvas.control(frames, [&plan](Stretch wanted) {
      return read_placement(plan, *plan.layout.control, wanted);
    });
  }
  return canvas;
}

}  // namespace sora
