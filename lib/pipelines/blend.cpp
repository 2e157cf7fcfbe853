// A curve of influence runs from the first clip (0) to the second (1). A transition shows the
// sources themselves where the curve is at its ends and draws a bridge between; a mix draws every
// frame from both; a sample keeps the first's picture and takes the second's look.
#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/pipelines/layout.h"

namespace sora {
namespace {

// The most that a transition's own bridge takes from either clip.
constexpr double kBridgeSide_s = 1.0;

struct Pair {
  std::shared_ptr<const Source> a, b;
  int64_t frames_a, frames_b;
};

double influence(const Curve& curve, int64_t frame, int64_t num_frames) {
  return curve(static_cast<double>(frame) /
               static_cast<double>(std::max<int64_t>(1, num_frames - 1)));
}

// Where no curve was given: A up to shortly before its end, B from shortly after its beginning, as
// it lies at the end. Where they overlap, the bridge lies in the middle of that. What lies outside
// of the timeline counts for neither.
Curve bridge_curve(const Pair& pair, const Layout& layout) {
  const int64_t end_a = std::min(pair.frames_a, layout.num_frames);
  const int64_t start_b = std::max<int64_t>(0, layout.num_frames - pair.frames_b);
  const int64_t side =
      std::min({frames_in(layout, kBridgeSide_s), end_a / 3, (layout.num_frames - start_b) / 3});
  const auto last = static_cast<double>(layout.num_frames - 1);
  const int64_t middle = (end_a + start_b) / 2;
  const bool overlap = start_b < end_a;
  const int64_t from = std::max<int64_t>(0, (overlap ? middle : end_a) - side);
  const int64_t to =
      std::min(layout.num_frames - 1, std::max(from + 1, (overlap ? middle : start_b) + side - 1));
  return {{{static_cast<double>(from) / last, 0.0}, {static_cast<double>(to) / last, 1.0}}};
}

// Stretches of the timeline in which `accept` holds.
template <typename Accept>
std::vector<Stretch> stretches(int64_t num_frames, const Accept& accept) {
  std::vector<Stretch> found;
  for (int64_t frame = 0; frame < num_frames; ++frame) {
    if (!accept(frame)) continue;
    if (!found.empty() && found.back().stop == frame) {
      ++found.back().stop;
    } else {
      found.push_back({frame, frame + 1});
    }
  }
  return found;
}

void lay_transition(const BlendRequest& request, const Pair& pair, Layout& layout) {
  layout.num_frames =
      request.duration_s ? frames_in(layout, *request.duration_s) : pair.frames_a + pair.frames_b;
  if (layout.num_frames < 3)
    fail(ErrorKind::Usage, "--duration {} s leaves no room for a transition", *request.duration_s);
  const Curve curve = request.curve.points.empty() ? bridge_curve(pair, layout) : request.curve;
  const int64_t b_start = layout.num_frames - pair.frames_b;
  constexpr double kEnd = 1e-6;
  for (const Stretch& s : stretches(layout.num_frames, [&](int64_t frame) {
         return influence(curve, frame, layout.num_frames) < kEnd && frame < pair.frames_a;
       })) {
    layout.kept.push_back(layout.place(pair.a, request.fit, s.start, s.start, s.size()));
  }
  for (const Stretch& s : stretches(layout.num_frames, [&](int64_t frame) {
         return influence(curve, frame, layout.num_frames) > 1 - kEnd && frame >= b_start;
       })) {
    layout.kept.push_back(layout.place(pair.b, request.fit, s.start, s.start - b_start, s.size()));
  }
  // Under the bridge the one sound goes over into the other, as far as the clips reach.
  const auto hear = [&](const std::shared_ptr<const Source>& source, Stretch frames,
                        double at_curve_0, double at_curve_1) {
    frames = {std::max<int64_t>(0, frames.start), std::min(frames.stop, layout.num_frames)};
    if (source->info().num_audio_streams == 0 || frames.size() <= 0) return;
    Heard heard{frames, source, frames.start - (source == pair.b ? b_start : 0), {}};
    for (int64_t frame = frames.start; frame < frames.stop; ++frame) {
      const double w = influence(curve, frame, layout.num_frames);
      heard.gains.push_back(std::sqrt(std::max(0.0, at_curve_0 * (1 - w) + at_curve_1 * w)));
    }
    layout.heard.push_back(std::move(heard));
  };
  hear(pair.a, {0, pair.frames_a}, 1, 0);
  hear(pair.b, {b_start, layout.num_frames}, 0, 1);
  if (layout.kept.empty())
    fail(ErrorKind::Usage,
         "the curve shows neither clip anywhere; let it begin at 0:0 or end at 1:1");
  std::sort(layout.kept.begin(), layout.kept.end(),
            [](const Shot& x, const Shot& y) { return x.frames.start < y.frames.start; });
}

void lay_mix(const BlendRequest& request, const Pair& pair, Layout& layout) {
  const int64_t both = std::min(pair.frames_a, pair.frames_b);
  layout.num_frames = request.duration_s ? frames_in(layout, *request.duration_s) : both;
  if (layout.num_frames > both) {
    fail(ErrorKind::Usage,
         "--duration {} s is longer than the two videos are together there, which is {:.2f} s",
         *request.duration_s, static_cast<double>(both) / layout.fps.value());
  }
  if (layout.num_frames < 1)
    fail(ErrorKind::Usage, "--duration {} is less than one frame", *request.duration_s);
  const bool is_sample = request.mode == "sample";
  const Curve curve = request.curve.points.empty() ? Curve{{{0.0, 0.5}}} : request.curve;
  std::vector<double> of_a, of_b;
  const double strength = strength_sigma(request.strength);
  for (int64_t frame = 0; frame < layout.num_frames; ++frame) {
    const double w = influence(curve, frame, layout.num_frames);
    of_a.push_back(is_sample ? 1.0 : 1.0 - w);
    of_b.push_back(is_sample ? 1.0 : w);
    // What is one clip alone needs no drawing; what is both needs all of it.
    layout.levels.push_back(is_sample ? strength : strength * std::sqrt(4 * w * (1 - w)));
  }
  layout.guides = {{layout.place(pair.a, request.fit, 0, 0, layout.num_frames), of_a, false},
                   {layout.place(pair.b, request.fit, 0, 0, layout.num_frames), of_b, is_sample}};
}

}  // namespace

Layout lay_out(const BlendRequest& request, const VideoSpec& video, const ModelInfo&) {
  Pair pair{std::make_shared<const Source>(request.source),
            std::make_shared<const Source>(request.second), 0, 0};
  Layout layout = layout_for(video, *pair.a);
  pair.frames_a = pair.a->count_frames(layout.fps, "blend");
  pair.frames_b = pair.b->count_frames(layout.fps, "blend");
  if (request.mode == "transition") {
    lay_transition(request, pair, layout);
  } else {
    lay_mix(request, pair, layout);
  }
  if (!request.prompt.empty()) {
    layout.say_everywhere(request.prompt);
    return layout;
  }
  const std::string text_a = prompt_or_own("", *pair.a, layout);
  const std::string text_b = prompt_or_own("", *pair.b, layout);
  if (request.mode == "sample") {
    layout.say_everywhere(text_b);
    return layout;
  }
  // The text changes wherever the influence passes the middle.
  const Curve curve = !request.curve.points.empty()  ? request.curve
                      : request.mode == "transition" ? bridge_curve(pair, layout)
                                                     : Curve{{{0.0, 0.5}}};
  if (curve.points.size() == 1 && curve.points[0].second > 0 && curve.points[0].second < 1) {
    const char* between = text_a.empty() || text_b.empty() ? "" : ", ";
    layout.say_everywhere(text_a + between + text_b);  // both, all the time
    return layout;
  }
  layout.prompts.clear();
  for (int64_t frame = 0; frame < layout.num_frames; ++frame) {
    const std::string& text = influence(curve, frame, layout.num_frames) < 0.5 ? text_a : text_b;
    if (layout.prompts.empty() || layout.prompts.back().text != text)
      layout.prompts.push_back({{frame, frame}, text});
    layout.prompts.back().frames.stop = frame + 1;
  }
  return layout;
}

}  // namespace sora
