// Text to video; an image is one known frame, at the start or at the end of the timeline.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/media/image.h"
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
  if (card.for_s || card.to_s) {
    // The end is rounded by itself, so that cards that touch in time do in frames; of a source that
    // is a frame short the last one stands.
    const double part_s = card.to_s ? *card.to_s - card.from_s : *card.for_s;
    const double shown_s = std::min(part_s, card.for_s.value_or(part_s));
    const int64_t shown = frames_in(layout, card.at_s + shown_s) - start;
    if (shown <= count + 1) count = shown;
  }
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

// A picture is looked at more than once, and all of it is read.
void check_is_no_pipe(const std::string& picture) {
  if (!picture.empty() && Source::is_stream(picture)) {
    fail(ErrorKind::Input,
         "{} comes through a pipe, and a picture is read more than once; save it first", picture);
  }
}

Picture picture_at(int64_t frame, const std::string& path) {
  check_is_no_pipe(path);
  Picture picture = {frame, path, std::nullopt};
  try {
    const at::Tensor picture_HWC = read_image(path);
    picture.size = {picture_HWC.size(1), picture_HWC.size(0)};
  } catch (const Error&) {
  }
  return picture;
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
    if (!card.image.empty()) layout.pictures.push_back(picture_at(start, card.image));
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

// What the clip shows first; empty for a text alone, and for a picture that cannot be read.
std::optional<Size> shown_size(const Layout& layout) {
  if (!layout.pictures.empty()) return layout.pictures.front().size;
  if (layout.kept.empty()) return std::nullopt;
  const FileInfo& info = layout.kept.front().source->info();
  return Size{info.width, info.height};
}

// A canvas of the model's area in the shape of what is shown, as far as that is no narrower than
// the model's own canvas; that one itself where little would be cut off.
Size size_like(const Size& shown, const ModelInfo& model) {
  const Size own{model.defaults.width, model.defaults.height};
  const auto width = static_cast<double>(own.width), height = static_cast<double>(own.height);
  const double widest = std::max(width, height) / std::min(width, height);
  const double aspect = std::clamp(
      static_cast<double>(shown.width) / static_cast<double>(shown.height), 1 / widest, widest);
  const double change = aspect / (width / height);
  if (std::min(change, 1 / change) > 1 - kLittleCut) return own;
  const LatentStrides strides = model.strides();
  const auto snapped = [](double side, int64_t grid) {
    return std::max<int64_t>(1, static_cast<int64_t>(side / static_cast<double>(grid) + 0.5)) *
           grid;
  };
  const double area = width * height;
  Size size{snapped(std::sqrt(area * aspect), strides.pixel_grid_width()),
            snapped(std::sqrt(area / aspect), strides.pixel_grid_height())};
  const double most =
      static_cast<double>(std::max(own.width * own.height, model.defaults.max_pixels)) *
      kAreaTolerance;
  while (static_cast<double>(size.width * size.height) > most) {
    int64_t& longer = size.width > size.height ? size.width : size.height;
    longer -= size.width > size.height ? strides.pixel_grid_width() : strides.pixel_grid_height();
  }
  return size;
}

Size choose_size(const VideoSpec& video, const Source* control, const ModelInfo& model,
                 Layout& layout) {
  if (video.size) return *video.size;
  const std::optional<Size> shown =
      control ? Size{control->info().width, control->info().height} : shown_size(layout);
  if (const std::optional<Size> asked = asked_size(video, shown)) return *asked;
  if (control) return own_size(*control);
  const Size own{model.defaults.width, model.defaults.height};
  if (!shown) return own;
  const Size size = size_like(*shown, model);
  if (!(size == own)) {
    layout.notices.push_back(
        fmt::format("what the clip shows is {}, so it is drawn at {}; --size {} cuts that to the "
                    "model's own shape",
                    to_string(*shown), to_string(size), to_string(own)));
  }
  return size;
}

}  // namespace

Layout lay_out(const GenerateRequest& request, const VideoSpec& video, const ModelInfo& model) {
  Layout layout;
  layout.fps = video.fps.value_or(model.defaults.fps);
  layout.num_frames = asked_frames(video, model, layout.fps);
  std::shared_ptr<const Source> control;
  if (!request.control.empty()) {
    control = std::make_shared<const Source>(request.control);
    const bool is_length_open = !video.num_frames && !video.duration_s;
    if (is_length_open) layout.num_frames = control->count_frames(layout.fps, "generate");
  }
  layout.cyclic = request.loop;
  layout.say_everywhere(request.prompt);
  lay_control(request, control, model, layout);
  if (!request.storyboard.empty()) {
    lay_cards(read_storyboard(request.storyboard), request.prompt, video, model, layout);
  }
  if (!request.image.empty()) layout.pictures.push_back(picture_at(0, request.image));
  if (!request.last_image.empty()) {
    if (layout.num_frames < 2)
      fail(ErrorKind::Usage, "--last-image needs a clip of two frames or more");
    layout.pictures.push_back(picture_at(layout.num_frames - 1, request.last_image));
  }
  for (const std::string& picture : layout.references) check_is_no_pipe(picture);
  layout.size = choose_size(video, control.get(), model, layout);
  return layout;
}

}  // namespace sora
