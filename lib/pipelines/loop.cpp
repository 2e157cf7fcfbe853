// After the clip comes a bridge, and after that, for the model's eyes only, the clip's beginning
// again.
#include <algorithm>

#include "lib/core/error.h"
#include "lib/pipelines/layout.h"

namespace sora {
namespace {

// Seconds of the beginning that the bridge runs towards.
constexpr double kSeenBeginning_s = 2.0;

double bridge_s(const std::string& length) {
  return length == "long" ? 6 : length == "normal" ? 4 : 2;
}

}  // namespace

Layout lay_out(const LoopRequest& request, const VideoSpec& video, const ModelInfo&) {
  const auto source = std::make_shared<const Source>(request.source);
  Layout layout = layout_for(video, *source);
  const int64_t num_source = source->count_frames(layout.fps, "loop");
  const int64_t from = frames_in(layout, request.from_s.value_or(0));
  const int64_t to = request.to_s ? frames_in(layout, *request.to_s) : num_source;
  if (to > num_source || to - from < 2) {
    fail(ErrorKind::Usage,
         "the section from {:.2f} s to {:.2f} s is no part of {}, which lasts {:.2f} s",
         static_cast<double>(from) / layout.fps.value(),
         static_cast<double>(to) / layout.fps.value(), source->name(),
         static_cast<double>(num_source) / layout.fps.value());
  }
  const int64_t bridge = frames_in(layout, bridge_s(request.length));
  layout.num_frames = to - from + bridge;
  layout.num_hidden = std::min(to - from, frames_in(layout, kSeenBeginning_s));
  layout.kept = {layout.place(source, request.fit, 0, from, to - from),
                 layout.place(source, request.fit, layout.num_frames, from, layout.num_hidden)};
  layout.say_everywhere(prompt_or_own(request.prompt, *source, layout));
  return layout;
}

}  // namespace sora
