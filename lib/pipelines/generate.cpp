// Text to video; an image is one known frame, at the start or at the end of the timeline.
#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/pipelines/plan.h"
#include "lib/pipelines/storyboard.h"

namespace sora {
namespace {

int64_t asked_frames(const VideoSpec& video, const ModelInfo& model, Rational fps) {
  const auto of_seconds = [&](double seconds) {
    return std::max<int64_t>(1, std::llround(seconds * fps.value()));
  };
  if (video.num_frames) return *video.num_frames;
  if (video.duration_s) return of_seconds(*video.duration_s);
  if (!video.fps) return model.defaults.num_frames;
  return of_seconds(static_cast<double>(model.defaults.num_frames) / model.defaults.fps.value());
}

// Where nobody says how long the last card is shown.
constexpr double kLastCard_s = 2;

std::string joined(const std::string& text, const std::string& style) {
  return style.empty() || text.empty() ? text + style : text + ", " + style;
}

double end_of(const Storyboard& storyboard, const std::vector<int64_t>& shown,
              const Layout& layout) {
  const Card& last = storyboard.cards.back();
  if (last.for_s) return last.at_s + *last.for_s;
  if (!last.video.empty())
    return last.at_s + static_cast<double>(shown.back()) / layout.fps.value();
  return last.at_s + kLastCard_s;
}

// The frames that a card's video fills; it is cut off where the next card begins.
int64_t lay_video(const Card& card, int64_t start, std::optional<int64_t> next, Layout& layout) {
  const auto source = std::make_shared<const Source>(card.video);
  const int64_t num_source = source->count_frames(layout.fps, "storyboard");
  const int64_t from = frames_in(layout, card.from_s);
  const int64_t to = card.to_s ? frames_in(layout, *card.to_s) : num_source;
  if (to > num_source || from >= to) {
    fail(ErrorKind::Input,
         "the card at {} s shows {} from {} s to {:.2f} s, but that lasts {:.2f} s", card.at_s,
         source->name(), card.from_s, static_cast<double>(to) / layout.fps.value(),
         static_cast<double>(num_source) / layout.fps.value());
  }
  int64_t count = to - from;
  if (card.for_s) count = std::min(count, frames_in(layout, *card.for_s));
  if (count < 1) {
    fail(ErrorKind::Input, "the card at {} s shows {} for less than one frame at {} a second",
         card.at_s, source->name(), to_string(layout.fps));
  }
  if (next) count = std::min(count, *next - start);
  layout.kept.push_back(layout.place(source, "crop", start, from, count));
  return count;
}

// Pictures and videos need frames of their own at the model's rate too.
void check_apart(const Storyboard& storyboard, const ModelInfo& model, const Layout& layout) {
  const Card* before = nullptr;  // the last one with a picture
  for (const Card& card : storyboard.cards) {
    const auto drawn_at = [&](const Card& each) {
      return frame_at_rate(frames_in(layout, each.at_s), layout.fps, model.defaults.fps);
    };
    const bool is_shown = !card.image.empty() || !card.video.empty();
    if (before && is_shown && drawn_at(*before) == drawn_at(card)) {
      fail(ErrorKind::Input,
           "the cards at {} s and {} s fall on one frame of the {} a second that {} draws",
           before->at_s, card.at_s, to_string(model.defaults.fps), model.name);
    }
    if (is_shown) before = card.image.empty() ? nullptr : &card;
  }
}

// Text, pictures and videos of the cards at their times; `prompt` is said with every card.
void lay_cards(const Storyboard& storyboard, const std::string& prompt, const VideoSpec& video,
               const ModelInfo& model, Layout& layout) {
  std::vector<int64_t> shown;  // frames that each card's video fills
  for (size_t i = 0; i < storyboard.cards.size(); ++i) {
    const Card& card = storyboard.cards[i];
    const int64_t start = frames_in(layout, card.at_s);
    std::optional<int64_t> next;
    if (i + 1 < storyboard.cards.size()) next = frames_in(layout, storyboard.cards[i + 1].at_s);
    if (next && *next <= start)
      fail(ErrorKind::Input, "the cards at {} s and {} s fall on one frame", card.at_s,
           storyboard.cards[i + 1].at_s);
    shown.push_back(card.video.empty() ? 0 : lay_video(card, start, next, layout));
    if (!card.image.empty()) layout.pictures.push_back({start, card.image});
    if (i > 0 && storyboard.cards[i - 1].for_s &&
        frames_in(layout, storyboard.cards[i - 1].at_s + *storyboard.cards[i - 1].for_s) == start) {
      layout.cuts.push_back(start);
    }
  }
  if (!video.duration_s && !video.num_frames) {
    layout.num_frames =
        frames_in(layout, storyboard.duration_s.value_or(end_of(storyboard, shown, layout)));
  }
  check_apart(storyboard, model, layout);
  const Card& last = storyboard.cards.back();
  if (frames_in(layout, last.at_s) + shown.back() > layout.num_frames ||
      frames_in(layout, last.at_s) >= layout.num_frames) {
    fail(ErrorKind::Input, "the clip of {:.2f} s ends before the card at {} s has been shown",
         static_cast<double>(layout.num_frames) / layout.fps.value(), last.at_s);
  }
  layout.prompts.clear();
  const std::string style = joined(prompt, storyboard.style);
  for (const Card& card : storyboard.cards) {
    if (card.text.empty()) continue;
    if (!layout.prompts.empty()) layout.prompts.back().frames.stop = frames_in(layout, card.at_s);
    const int64_t start = layout.prompts.empty() ? 0 : frames_in(layout, card.at_s);
    layout.prompts.push_back({{start, layout.num_frames}, joined(card.text, style)});
  }
  if (layout.prompts.empty()) layout.say_everywhere(style);
}

// What only a control branch understands.
void lay_control(const GenerateRequest& request, const std::shared_ptr<const Source>& control,
                 const ModelInfo& model, Layout& layout) {
  layout.references = request.references;
  layout.control_scale = request.control_scale.value_or(1.0);
  if (control) {
    const int64_t count = control->count_frames(layout.fps, "generate");
    layout.control = layout.place(control, "crop", 0, 0, std::min(count, layout.num_frames));
  }
  if (model.transformer.has_control()) return;
  const char* option = !request.references.empty() ? "--reference"
                       : control                   ? "--control"
                       : request.control_scale     ? "--control-scale"
                                                   : nullptr;
  if (!option) return;
  fail(ErrorKind::Usage,
       "{} needs a model with a control branch, such as Wan 2.1 VACE; {} has none (see sora models "
       "show)",
       option, model.name);
}

}  // namespace

Layout lay_out(const GenerateRequest& request, const VideoSpec& video, const ModelInfo& model) {
  Layout layout;
  layout.size = {model.defaults.width, model.defaults.height};
  if (video.size) layout.size = *video.size;
  if (video.resolution || video.aspect)
    layout.size = size_for(video.resolution.value_or("480p"), video.aspect.value_or("16:9"));
  layout.fps = video.fps.value_or(model.defaults.fps);
  layout.num_frames = asked_frames(video, model, layout.fps);
  std::shared_ptr<const Source> control;
  if (!request.control.empty()) {
    control = std::make_shared<const Source>(request.control);
    const bool is_length_open = !video.num_frames && !video.duration_s;
    if (is_length_open) layout.num_frames = control->count_frames(layout.fps, "generate");
    if (!video.size && !video.resolution && !video.aspect)
      layout.size = {control->info().width, control->info().height};
  }
  layout.cyclic = request.loop;
  layout.say_everywhere(request.prompt);
  lay_control(request, control, model, layout);
  if (!request.storyboard.empty()) {
    lay_cards(read_storyboard(request.storyboard), request.prompt, video, model, layout);
    return layout;
  }
  if (!request.image.empty()) layout.pictures.push_back({0, request.image});
  if (!request.last_image.empty()) {
    if (layout.num_frames < 2)
      fail(ErrorKind::Usage, "--last-image needs a clip of two frames or more");
    layout.pictures.push_back({layout.num_frames - 1, request.last_image});
  }
  return layout;
}

}  // namespace sora
