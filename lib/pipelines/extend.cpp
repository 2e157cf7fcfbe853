// The source stands at one end of a longer timeline; the rest is free.
#include "lib/core/error.h"
#include "lib/pipelines/layout.h"

namespace sora {

Layout lay_out(const ExtendRequest& request, const VideoSpec& video, const ModelInfo&) {
  const auto source = std::make_shared<const Source>(request.source);
  Layout layout = layout_for(video, *source);
  const int64_t old_frames = source->count_frames(layout.fps, "extend");
  const int64_t new_frames = frames_in(layout, request.by_s);
  if (new_frames < 1) {
    fail(ErrorKind::Usage, "--by {} s is less than one frame at {} a second", request.by_s,
         to_string(layout.fps));
  }
  layout.num_frames = old_frames + new_frames;
  layout.kept = {
      layout.place(source, request.fit, request.backward ? new_frames : 0, 0, old_frames)};
  layout.say_everywhere(prompt_or_own(request.prompt, *source, layout));
  return layout;
}

}  // namespace sora
