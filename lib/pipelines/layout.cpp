// What the operations' pages share.
#include "lib/pipelines/layout.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "lib/core/error.h"
#include "lib/pipelines/storyboard.h"

namespace sora {
namespace {

constexpr double kMaxFps = 120;
constexpr double kCountable_s = 1e6;  // far beyond any clip, and its frames can be counted

// 4:3 lies as far from 16:9 as from 1:1: then the first is taken.
constexpr std::string_view kAspects[] = {"16:9", "9:16", "1:1"};

double aspect_of(const Size& size) {
  return static_cast<double>(size.width) / static_cast<double>(size.height);
}

std::string_view nearest_aspect(std::string_view resolution, const Size& shown) {
  constexpr double kSame = 0.01;
  std::string_view nearest;
  double least = 0;
  for (const std::string_view aspect : kAspects) {
    const double distance =
        std::abs(std::log(aspect_of(size_for(resolution, aspect)) / aspect_of(shown)));
    if (!nearest.empty() && distance > least - kSame) continue;
    nearest = aspect;
    least = distance;
  }
  return nearest;
}

Rational own_fps(const Source& source) {
  const Rational fps = source.info().fps;
  if (!(fps.value() >= 1 && fps.value() <= kMaxFps)) {
    fail(ErrorKind::Input, "{} has {} frames a second; clips with 1 to {} can be made, give --fps",
         source.name(), to_string(fps), kMaxFps);
  }
  return fps;
}

}  // namespace

Shot Layout::place(std::shared_ptr<const Source> source, const std::string& fit_name, int64_t start,
                   int64_t first, int64_t count) const {
  return {{start, start + count}, std::move(source), first, parse_fit(fit_name)};
}

std::vector<const Source*> Layout::sources() const {
  std::vector<const Source*> sources;
  for (const Shot& shot : kept) sources.push_back(shot.source.get());
  for (const Guide& guide : guides) sources.push_back(guide.placement.source.get());
  for (const Heard& each : heard) sources.push_back(each.source.get());
  if (control) sources.push_back(control->source.get());
  return sources;
}

std::string Layout::readable(const std::string& name) const {
  for (const Source* source : sources()) {
    if (source->name() == name) return source->path();
  }
  return name;
}

std::optional<Size> asked_size(const VideoSpec& video, std::optional<Size> shown) {
  if (video.size) return video.size;
  if (!video.resolution && !video.aspect) return std::nullopt;
  const std::string resolution = video.resolution.value_or("480p");
  if (video.aspect) return size_for(resolution, *video.aspect);
  return size_for(resolution, shown ? nearest_aspect(resolution, *shown) : kAspects[0]);
}

Size own_size(const Source& source) {
  const Size size{source.info().width, source.info().height};
  if (std::max(size.width, size.height) > kMaxSide ||
      std::min(size.width, size.height) < kMinSide) {
    fail(ErrorKind::Input,
         "{} is {}; clips with sides from {} to {} pixels can be made, give --size or --resolution",
         source.name(), to_string(size), kMinSide, kMaxSide);
  }
  return size;
}

Layout layout_for(const VideoSpec& video, const Source& source) {
  Layout layout;
  const std::optional<Size> asked =
      asked_size(video, Size{source.info().width, source.info().height});
  layout.size = asked ? *asked : own_size(source);
  layout.fps = video.fps ? *video.fps : own_fps(source);
  return layout;
}

int64_t frames_in(const Layout& layout, double seconds) {
  if (!(std::abs(seconds) <= kCountable_s))
    fail(ErrorKind::Usage, "{} s is no time in a clip", seconds);
  return std::llround(seconds * layout.fps.value());
}

std::string prompt_or_own(const std::string& asked, const Source& source, Layout& layout) {
  if (!asked.empty()) return asked;
  std::string own = source.prompt();
  if (own.empty()) {
    layout.notices.push_back(fmt::format(
        "{} does not say what it shows; drawn without a text, --prompt would help", source.name()));
  }
  return own;
}

void tell_of_fields(Layout& layout) {
  std::set<std::string> told;
  for (const Source* source : layout.sources()) {
    if (!source->info().is_interlaced || !told.insert(source->name()).second) continue;
    layout.notices.push_back(fmt::format(
        "{} is interlaced: each of its frames shows two times at once; ffmpeg -vf bwdif "
        "makes frames of its fields",
        source->name()));
  }
}

void tell_of_cropping(Layout& layout) {
  std::set<std::string> told;
  const auto tell = [&](const std::string& name, const Size& shown) {
    const double share = aspect_of(layout.size) / aspect_of(shown);
    const double lost = 1 - std::min(share, 1 / share);
    if (!(lost > kLittleCut) || !told.insert(name).second) return;
    layout.notices.push_back(fmt::format(
        "{} is {}: {:.0f} % of its {} is cut off to fill {}; a --size of its shape keeps all", name,
        to_string(shown), 100 * lost, share > 1 ? "height" : "width", to_string(layout.size)));
  };
  const auto tell_of = [&](const Shot& shot) {
    const FileInfo& info = shot.source->info();
    if (shot.fit == Fit::Crop) tell(shot.source->name(), {info.width, info.height});
  };
  for (const Shot& shot : layout.kept) tell_of(shot);
  for (const Guide& guide : layout.guides) tell_of(guide.placement);
  for (const Picture& picture : layout.pictures) {
    if (picture.size) tell(picture.path, *picture.size);
  }
}

void hear_sources(Layout& layout) {
  const auto hear = [&](const Shot& placement, std::vector<double> gains) {
    const Stretch frames{placement.frames.start,
                         std::min(placement.frames.stop, layout.num_frames)};
    if (frames.size() <= 0 || placement.source->info().num_audio_streams == 0) return;
    layout.heard.push_back({frames, placement.source, placement.first, std::move(gains)});
  };
  if (layout.heard.empty()) {
    for (const Shot& placement : layout.kept) hear(placement, {});
    for (const Guide& guide : layout.guides) {
      if (guide.look_only) continue;
      // Shares of power, so that what is mixed is as loud as its sources.
      std::vector<double> gains;
      for (const double weight : guide.weights) gains.push_back(std::sqrt(weight));
      hear(guide.placement, std::move(gains));
    }
  }
}

std::vector<std::string> sources_of(const Operation& operation) {
  std::vector<std::string> paths;
  const auto add = [&](const std::string& path) {
    if (!path.empty()) paths.push_back(path);
  };
  std::visit(
      [&](const auto& request) {
        using Request = std::decay_t<decltype(request)>;
        if constexpr (std::is_same_v<Request, GenerateRequest>) {
          add(request.image);
          add(request.last_image);
          add(request.storyboard);
          for (const std::string& path : request.references) add(path);
          add(request.control);
          if (!request.storyboard.empty()) {
            for (const Card& card : read_storyboard(request.storyboard).cards) {
              add(card.image);
              add(card.video);
            }
          }
        } else {
          add(request.source);
        }
        if constexpr (std::is_same_v<Request, BlendRequest>) add(request.second);
      },
      operation);
  return paths;
}

}  // namespace sora
