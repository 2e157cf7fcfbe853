// Ranges of the source, moved along a new timeline.
#include <algorithm>

#include "lib/core/error.h"
#include "lib/pipelines/layout.h"

namespace sora {
namespace {

// A range in frames of the source, which has `num_frames`; half a frame past the end is still the
// end.
Stretch in_frames(const TimeRange& range, std::string_view option, int64_t num_frames,
                  const Source& source, const Layout& layout) {
  const Stretch frames{frames_in(layout, range.start_s), frames_in(layout, range.stop_s)};
  if (frames.stop > num_frames) {
    fail(ErrorKind::Usage, "{} {} goes past the end of {}, which lasts {:.2f} s", option,
         to_string(range), source.name(), static_cast<double>(num_frames) / layout.fps.value());
  }
  if (frames.size() < 1) {
    fail(ErrorKind::Usage, "{} {} is less than one frame at {} a second", option, to_string(range),
         to_string(layout.fps));
  }
  return frames;
}

std::vector<Stretch> without(std::vector<Stretch> dropped, int64_t num_frames) {
  std::sort(dropped.begin(), dropped.end(),
            [](const Stretch& a, const Stretch& b) { return a.start < b.start; });
  return free_stretches(dropped, num_frames);
}

void check_apart(const std::vector<Shot>& kept, const Layout& layout) {
  for (size_t i = 1; i < kept.size(); ++i) {
    if (kept[i].frames.start < kept[i - 1].frames.stop) {
      fail(ErrorKind::Usage,
           "two kept ranges cross at {:.2f} s of the new timeline; move one with --at",
           static_cast<double>(kept[i].frames.start) / layout.fps.value());
    }
  }
}

}  // namespace

Layout lay_out(const RecutRequest& request, const VideoSpec& video, const ModelInfo&) {
  const auto source = std::make_shared<const Source>(request.source);
  Layout layout = layout_for(video, *source);
  const int64_t num_source = source->count_frames(layout.fps, "recut");

  std::vector<Stretch> ranges;
  for (const TimeRange& range : request.keep)
    ranges.push_back(in_frames(range, "--keep", num_source, *source, layout));
  if (!request.drop.empty()) {
    for (const TimeRange& range : request.drop)
      ranges.push_back(in_frames(range, "--drop", num_source, *source, layout));
    ranges = without(ranges, num_source);
    if (ranges.empty()) fail(ErrorKind::Usage, "--drop leaves nothing of {}", source->name());
  }

  for (size_t i = 0; i < ranges.size(); ++i) {
    Stretch shown = ranges[i];
    if (!request.at_s.empty()) {
      // The new ends are rounded by themselves, so that ranges that touch in time do in frames.
      const double at_s = request.at_s[i];
      const double stop_s = at_s + request.keep[i].stop_s - request.keep[i].start_s;
      shown.start = frames_in(layout, at_s);
      shown.stop = shown.start + std::clamp<int64_t>(frames_in(layout, stop_s) - shown.start, 1,
                                                     num_source - ranges[i].start);
    }
    layout.kept.push_back(
        layout.place(source, request.fit, shown.start, ranges[i].start, shown.size()));
  }
  std::sort(layout.kept.begin(), layout.kept.end(),
            [](const Shot& a, const Shot& b) { return a.frames.start < b.frames.start; });
  check_apart(layout.kept, layout);

  const int64_t end = layout.kept.back().frames.stop;
  layout.num_frames = request.duration_s     ? frames_in(layout, *request.duration_s)
                      : request.drop.empty() ? end
                                             : num_source;
  if (layout.num_frames < end) {
    fail(ErrorKind::Usage,
         "--duration {} s ends before the last kept range, which ends at {:.2f} s",
         *request.duration_s, static_cast<double>(end) / layout.fps.value());
  }
  layout.say_everywhere(prompt_or_own(request.prompt, *source, layout));
  return layout;
}

}  // namespace sora
