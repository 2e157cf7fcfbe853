// Every frame follows the source down to one noise level, and the new text from there on.
#include "lib/core/error.h"
#include "lib/pipelines/layout.h"

namespace sora {

Layout lay_out(const RemixRequest& request, const VideoSpec& video, const ModelInfo&) {
  const auto source = std::make_shared<const Source>(request.source);
  Layout layout = layout_for(video, *source);
  layout.num_frames = source->count_frames(layout.fps, "remix");
  const auto count = static_cast<size_t>(layout.num_frames);
  layout.guides = {{layout.place(source, request.fit, 0, 0, layout.num_frames),
                    std::vector<double>(count, 1.0)}};
  layout.levels = std::vector<double>(count, strength_sigma(request.strength));
  layout.say_everywhere(request.prompt);
  if (request.method != "sdedit") {
    layout.edit = request.method == "flowedit" ? EditMethod::FlowEdit : EditMethod::FlowAlign;
    layout.source_prompt = request.source_prompt.empty() ? source->prompt() : request.source_prompt;
    if (layout.source_prompt.empty()) {
      fail(ErrorKind::Usage, "--method {} needs to know what {} shows; say it with --source-prompt",
           request.method, source->name());
    }
  }
  return layout;
}

}  // namespace sora
